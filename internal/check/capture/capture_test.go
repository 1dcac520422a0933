package capture

import (
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
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
		"silent":    {func(s *wire.Stream) { s.SYNACK, s.Server.Packets, s.Client.SYN = false, 0, 3 }, ruleSilent, finding.OwnerNetwork},
		"refused":   {func(s *wire.Stream) { s.SYNACK, s.Reset = false, &wire.Reset{By: "server"} }, ruleRefused, finding.OwnerServer},
		"reset":     {func(s *wire.Stream) { s.Reset = &wire.Reset{By: "client", Bytes: 10} }, ruleReset, finding.OwnerSelf},
		"foreign":   {func(s *wire.Stream) { s.Reset = &wire.Reset{By: "server", Foreign: true} }, ruleReset, finding.OwnerNetwork},
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
	if j.stream(up()); len(j.found) > 0 {
		t.Errorf("a good stream: %v", j.found)
	}
}
