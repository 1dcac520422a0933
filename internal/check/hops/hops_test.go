package hops

import (
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

func read(t *testing.T, lines []string, o Options) *Path {
	t.Helper()
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("Received: " + l + "\r\n")
	}
	blk, _, err := header.ParseBytes([]byte(b.String()+"\r\n"), header.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return Read(blk.All("Received"), o)
}

func failed(fs []finding.Finding) string {
	var ids []string
	for i := range fs {
		if fs[i].Outcome == finding.Fail {
			ids = append(ids, fs[i].Rule.ID)
		}
	}
	return strings.Join(ids, " ")
}

const (
	lmtp   = "from mx.partner.example ([10.0.0.1]) by mbox.partner.example with LMTP id a1; "
	inner  = "from mx2.partner.example (mx2.partner.example [203.0.113.9]) by mx.partner.example (Postfix) with ESMTP id 0A1B2C3D4E; "
	border = "from mail.mine.example (mail.mine.example [192.0.2.25]) by mx2.partner.example (Postfix) with ESMTPS id 4XyZab1cdEz9; "
	claim  = "from pc.mine.example (unknown [198.51.100.7]) by mail.mine.example (Postfix) with ESMTPSA id 5A5A5A5A5A; "
)

func TestDelaysAndTrust(t *testing.T) {
	p := read(t, []string{
		lmtp + "Mon, 5 Feb 2024 10:10:05 +0800", inner + "Mon, 5 Feb 2024 10:10:03 +0800",
		border + "Mon, 5 Feb 2024 02:10:02 +0000", claim + "Sun, 4 Feb 2024 18:00:00 -0800",
	}, Options{})
	if p.Border != 2 || p.Origin.String() != "192.0.2.25" || p.Slowest != 2 || p.Seconds != 605 {
		t.Errorf("border %d, origin %v, slow %d, total %v", p.Border, p.Origin, p.Slowest, p.Seconds)
	}
	if got := failed(Judge(p, finding.Subject{})); got != "received.slow-hop" {
		t.Errorf("findings %q", got)
	}
	if p.Hops[0].Believed || p.Claimed.String() != "198.51.100.7" {
		t.Errorf("the sender's own line is believed, or its address is lost: %v", p.Claimed)
	}
}

func TestTrustGiven(t *testing.T) {
	lines := []string{lmtp + "Mon, 5 Feb 2024 10:10:05 +0800", border + "Mon, 5 Feb 2024 10:10:03 +0800", claim + "Mon, 5 Feb 2024 10:10:02 +0800"}
	for word, want := range map[string]string{"mine.example": "198.51.100.7", "192.0.2.0/24": "198.51.100.7", "192.0.2.25": "198.51.100.7", "other.example": "192.0.2.25"} {
		p := read(t, lines, Options{Trust: []string{word}})
		if p.Origin.String() != want || p.Guessed {
			t.Errorf("--trust %s: origin %v, want %s; guessed %v", word, p.Origin, want, p.Guessed)
		}
	}
}

func TestClockNeverGivesNegativeDelay(t *testing.T) {
	p := read(t, []string{
		lmtp + "Mon, 5 Feb 2024 10:00:05 +0800", inner + "Mon, 5 Feb 2024 09:00:02 +0800",
		border + "Mon, 5 Feb 2024 10:00:01 +0800", claim + "Mon, 5 Feb 2024 10:00:00 +0800",
	}, Options{})
	if p.Seconds != 5 {
		t.Errorf("total %v", p.Seconds)
	}
	h := p.Hops[2]
	if h.Skew == nil || *h.Skew != -3599 || !h.ZoneSlip || h.Delay != nil {
		t.Errorf("skew %v, zone slip %v, delay %v", h.Skew, h.ZoneSlip, h.Delay)
	}
	for i := range p.Hops {
		if d := p.Hops[i].Delay; d != nil && *d < 0 {
			t.Errorf("hop %d: delay %v", i+1, *d)
		}
	}
	if got := failed(Judge(p, finding.Subject{})); got != "received.clock-skew" {
		t.Errorf("findings %q", got)
	}
}

func TestOneSecondBackIsRounding(t *testing.T) {
	p := read(t, []string{lmtp + "Mon, 5 Feb 2024 10:00:00 +0800", border + "Mon, 5 Feb 2024 10:00:01 +0800"}, Options{})
	if p.Hops[1].Skew != nil || p.Hops[1].Delay == nil || *p.Hops[1].Delay != 0 {
		t.Errorf("skew %v, delay %v", p.Hops[1].Skew, p.Hops[1].Delay)
	}
}

func TestForged(t *testing.T) {
	p := read(t, []string{
		border + "Mon, 5 Feb 2024 10:00:05 +0800",
		"from mail.bank.example (mail.bank.example [198.51.100.9]) by mx.partner.example (Postfix) with ESMTP id <123.456@x>; Fri, 5 Feb 2024 09:59:00 +0800",
	}, Options{})
	if n := len(p.Hops[0].Doubts); n < 3 {
		t.Errorf("only %d doubts: %v", n, p.Hops[0].Doubts)
	}
	if got := failed(Judge(p, finding.Subject{})); got != "received.forged" {
		t.Errorf("findings %q", got)
	}
}

func TestNothingToRead(t *testing.T) {
	if got := failed(Judge(Read(nil, Options{}), finding.Subject{})); got != "received.none" {
		t.Errorf("findings %q", got)
	}
}

func TestManyLinesAreBounded(t *testing.T) {
	lines := make([]string, 1900)
	for i := range lines {
		lines[i] = border + "Mon, 5 Feb 2024 10:00:05 +0800"
	}
	p := read(t, lines, Options{})
	if len(p.Hops) != 200 || p.Unseen != 1700 {
		t.Errorf("%d hops, %d unseen", len(p.Hops), p.Unseen)
	}
	if got := failed(Judge(p, finding.Subject{})); !strings.Contains(got, "received.too-many") {
		t.Errorf("findings %q", got)
	}
}

// TestLMTPIsNoBorder holds that a mailbox server behind the mail server is not taken for the border.
func TestLMTPIsNoBorder(t *testing.T) {
	p := read(t, []string{"from mx.mine.example (mx.mine.example [11.0.1.25]) by imap.other.example with LMTP id 1; Mon, 5 Oct 2026 10:00:03 +0000",
		"from mail.far.example (mail.far.example [11.9.9.9]) by mx.mine.example with ESMTPS id 2; Mon, 5 Oct 2026 10:00:02 +0000"}, Options{})
	if p.Believed() != 2 || p.Origin.String() != "11.9.9.9" {
		t.Errorf("believed %d lines, origin %v", p.Believed(), p.Origin)
	}
}
