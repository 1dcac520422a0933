package capture

import (
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	base "github.com/mailwhy/mailwhy/internal/wire"
	wire "github.com/mailwhy/mailwhy/internal/wire/capture"
)

// TestVerdicts gives one stream per verdict and wants that rule and its owner, and no other error.
func TestVerdicts(t *testing.T) {
	up := func() *wire.Stream {
		s := &wire.Stream{Protocol: "smtp", SYNACK: true, Took: time.Second}
		s.Client.SYN, s.Client.Packets, s.Server.Packets, s.Server.Bytes, s.Client.Bytes = 1, 9, 9, 100, 5000
		return s
	}
	cases := map[string]struct {
		change func(s *wire.Stream)
		rule   *finding.Rule
		owner  finding.Owner
	}{
		"silent":  {func(s *wire.Stream) { s.SYNACK, s.Server.Packets, s.Client.SYN = false, 0, 3 }, ruleSilent, finding.OwnerNetwork},
		"refused": {func(s *wire.Stream) { s.SYNACK, s.Reset = false, &wire.Reset{By: "server"} }, ruleRefused, finding.OwnerServer},
		"reset":   {func(s *wire.Stream) { s.Reset = &wire.Reset{By: "client", Bytes: 10} }, ruleReset, finding.OwnerSelf},
		"foreign": {func(s *wire.Stream) { s.Reset = &wire.Reset{By: "server", Foreign: true} }, ruleReset, finding.OwnerNetwork},
		"one SYN": {func(s *wire.Stream) {
			s.SYNACK, s.Server.Packets, s.Client.SYN, s.Took, s.Quiet = false, 0, 1, 0, 10*time.Second
		}, ruleSilent, finding.OwnerNetwork},
		"hangs": {func(s *wire.Stream) {
			s.Server.Bytes, s.Client.Bytes, s.Took, s.Quiet = 0, 0, time.Millisecond, time.Minute
		}, ruleNoBanner, finding.OwnerServer},
		"hole": {func(s *wire.Stream) {
			s.Client.Stuck, s.Client.StuckTimes, s.Waiting, s.WaitedFor = 1460, 4, "message", time.Minute
		}, ruleMTU, finding.OwnerNetwork},
		"full":      {func(s *wire.Stream) { s.Client.Stuck, s.Client.StuckTimes, s.Server.ZeroWindow = 1460, 4, time.Minute }, ruleZeroWindow, finding.OwnerServer},
		"no banner": {func(s *wire.Stream) { s.Server.Bytes, s.Client.Bytes, s.Took = 0, 0, time.Minute }, ruleNoBanner, finding.OwnerServer},
		"late":      {func(s *wire.Stream) { s.Banner = 20 * time.Second }, ruleLateBanner, finding.OwnerServer},
		"no answer": {func(s *wire.Stream) { s.Waiting, s.WaitedFor, s.Acked = "message", 10*time.Minute, true }, ruleNoAnswer, finding.OwnerServer},
		"gave up":   {func(s *wire.Stream) { s.Waiting, s.WaitedFor, s.ClosedBy = "message", time.Minute, "client" }, ruleGaveUp, finding.OwnerSelf},
		"mtu":       {func(s *wire.Stream) { s.Client.Stuck, s.Client.StuckTimes = 1460, 4 }, ruleMTU, finding.OwnerNetwork},
		"storm":     {func(s *wire.Stream) { s.Client.Resent, s.Client.Segments = 30, 100 }, ruleResent, finding.OwnerNetwork},
		"alert": {func(s *wire.Stream) {
			s.TLS = &wire.TLS{Hello: true, Alert: "unknown certificate authority", AlertBy: "client"}
		}, ruleAlert, finding.OwnerServer},
		"no TLS": {func(s *wire.Stream) { s.TLS = &wire.TLS{Hello: true, NotTLS: true} }, ruleHandshake, finding.OwnerServer},
		"window": {func(s *wire.Stream) { s.Server.ZeroWindow = time.Minute }, ruleZeroWindow, finding.OwnerServer},
		"refusal": {func(s *wire.Stream) {
			s.Stages = []wire.Stage{{Name: "rcpt", Arg: "wang@to.example", Done: true, Code: 550, Reply: "550 5.1.1 User unknown"}}
		}, ruleSaidNo, finding.OwnerSender},
		"login": {func(s *wire.Stream) {
			s.Protocol, s.Stages = "imap", []wire.Stage{{Name: "login", Arg: "li", Done: true, Reply: "a1 NO failed"}}
		}, ruleLogin, finding.OwnerSender},
		"clear":    {func(s *wire.Stream) { s.Cleartext = true }, ruleCleartext, finding.OwnerServer},
		"one side": {func(s *wire.Stream) { s.OneSided, s.Waiting, s.WaitedFor = "client", "data", time.Hour }, ruleOneSided, finding.OwnerSelf},
		"lossy":    {func(s *wire.Stream) { s.Server.Missing = 10 }, ruleMissing, finding.OwnerSelf},
	}
	for name, c := range cases {
		s := up()
		c.change(s)
		j := &judge{know: knowledge.Embedded(), seen: map[string]int{}}
		j.stream(s)
		j.stream(s)
		if len(j.found) != 1 || j.found[0].Rule != c.rule || j.found[0].Whose() != c.owner || j.found[0].Args["N"] != 2 {
			t.Errorf("%s: %d findings: %v", name, len(j.found), j.found)
			continue
		}
		f := &j.found[0]
		for _, said := range []finding.Msg{c.rule.Says, c.rule.Repair} {
			for _, l := range []finding.Lang{finding.EN, finding.ZH} {
				if text := finding.S(said, f.Args).In(l); text == "" || text == string(said) && said != c.rule.Repair {
					t.Errorf("%s: not said in %s: %s", name, l, text)
				}
			}
		}
	}
	j := &judge{know: knowledge.Embedded(), seen: map[string]int{}}
	last := up() // sent as the capture ended
	last.SYNACK, last.Server.Packets, last.Server.Bytes, last.Took = false, 0, 0, 0
	if j.stream(last); len(j.found) > 0 {
		t.Errorf("a SYN at the end of the capture: %v", j.found)
	}
	if j.stream(up()); len(j.found) > 0 {
		t.Errorf("a good stream: %v", j.found)
	}
}

// TestTranscriptWords wants no English of ours in a Chinese transcript, and what the ends said untouched.
func TestTranscriptWords(t *testing.T) {
	for text, want := range map[string]string{
		"* connected": "已连接", "* TLS established TLS 1.2": "TLS 已建立：TLS 1.2", "* reset by the server": "服务器重置了连接", "* closed by the client": "客户端关闭了连接",
		"* 12 bytes of the server are not in the capture": "服务器的 12 字节不在抓包中", "> (message of 12 bytes)": "（12 字节的邮件）",
		"< (TLS alert: unknown certificate authority)": "（TLS 警报：未知的证书颁发机构）", "< (TLS alert, encrypted)": "（TLS 警报，已加密）",
		"< 250 connected": "250 connected", "< (message of words)": "(message of words)", "* something else": "something else",
	} {
		if got := line(base.Line{Dir: base.Direction(text[:1]), Text: text[2:]}).In(finding.ZH); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
