package message

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// TestOriginIsLookedUp asks a fake DNS: no reverse name for the origin, SPF that allows it, a DMARC policy that SPF meets.
func TestOriginIsLookedUp(t *testing.T) {
	d, err := wiretest.NewDNS(
		"$ORIGIN test.\n@ 60 IN SOA ns hm 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\nmine 60 IN TXT \"v=spf1 ip4:11.0.0.7 -all\"\n_dmarc.mine 60 IN TXT \"v=DMARC1; p=reject\"\n",
		"$ORIGIN 11.in-addr.arpa.\n@ 60 IN SOA ns hm 1 60 60 60 60\n@ 60 IN NS ns.mine.test.\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.Recursive = true
	m, err := eml.Read(strings.NewReader("Return-Path: <li@mine.test>\r\nReceived: from mx.mine.test (unknown [11.0.0.7]) by mx.partner.example (Postfix) with ESMTPS id 4XyZab1cdEz9; Mon, 5 Feb 2024 10:00:05 +0800\r\n"+
		"From: Li <li@mine.test>\r\nTo: wang@partner.example\r\nSubject: hello\r\nDate: Mon, 5 Feb 2024 10:00:00 +0800\r\nMessage-ID: <1@mine.test>\r\n\r\nhello\r\n"), "x.eml")
	if err != nil {
		t.Fatal(err)
	}
	env := &check.Env{Now: time.Now, Know: knowledge.Embedded(), DNS: dns.New(dns.Options{Servers: []string{d.Addr()}, Timeout: time.Second, Tries: 1})}
	r, err := Survey(context.Background(), env, m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]finding.Verdict{}
	for i := range r.Findings {
		got[r.Findings[i].Rule.ID] = r.Findings[i].Verdict()
	}
	for id, want := range map[string]finding.Verdict{"ptr.missing": finding.VerdictError, "auth.spf": finding.VerdictPass, "auth.dmarc": finding.VerdictPass, "auth.dkim-missing": finding.VerdictWarning} {
		if v, ok := got[id]; !ok || v != want {
			t.Errorf("%s: %v (%v), want %v", id, v, ok, want)
		}
	}
	if !slices.ContainsFunc(r.Sections, func(s finding.Section) bool { return s.Title.String() == "Verified again" }) {
		t.Error("no section shows what was verified")
	}
}
