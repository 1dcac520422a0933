package capture

import (
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/capture"
)

// Thresholds, each with its reason.
const (
	lateBanner  = 5 * time.Second  // longer than any honest greeting; deliberate delays are about that long
	noBanner    = 10 * time.Second // and then nothing at all
	noAnswer    = 10 * time.Second // a stream that ends sooner tells nothing about the server
	zeroWindow  = time.Second      // shorter stalls are everyday flow control
	manyResent  = 10               // packets, and
	shareResent = 5                // percent
	bigSegment  = 1000             // bytes: less passes every path (IPv6 guarantees 1280)
	stuckTimes  = 2
	soonest     = time.Second // in which an answer to SYN may still be on its way; then the system sends the SYN again
)

// stream judges one stream and gives its worst verdict.
func (j *judge) stream(s *capture.Stream) finding.Verdict {
	j.worst = finding.VerdictPass
	if s.OneSided != "" {
		j.add(s, ruleOneSided, s.OneSided, finding.Args{"By": party(s.OneSided)}, nil)
	}
	if !j.connect(s) {
		return j.worst
	}
	if n := s.Client.Missing + s.Server.Missing; n > 0 {
		j.add(s, ruleMissing, "", finding.Args{"Bytes": n}, nil)
	}
	j.replies(s)
	j.tls(s)
	j.path(s)
	j.ends(s)
	if s.Cleartext {
		j.add(s, ruleCleartext, "", finding.Args{}, nil)
	}
	return j.worst
}

// traceIt names the command that looks for the place on the way.
func traceIt(s *capture.Stream) func(*finding.Finding) {
	return func(f *finding.Finding) {
		to := s.Server.Addr.Addr().String()
		if p := s.Server.Addr.Port(); p != 25 {
			to = s.Server.Addr.String()
		}
		*f = f.Prove(finding.Cmd("path", to))
	}
}

func party(end string) finding.Sentence {
	if end == "client" {
		return finding.S("client", nil)
	}
	return finding.S("server", nil)
}

// connect judges how the connection came about; false where it did not.
func (j *judge) connect(s *capture.Stream) bool {
	client := s.Client.Addr.Addr().String()
	switch {
	case s.Midway || s.SYNACK || s.Client.SYN == 0 || s.OneSided != "":
		return true
	case s.Reset != nil && s.Reset.By == "server":
		j.add(s, ruleRefused, "", finding.Args{"Client": client}, nil)
		return false
	case s.Server.Packets == 0 && s.Client.SYN < 2 && s.Took+s.Quiet < soonest:
		return false // the capture ends before an answer can be missed
	case s.Server.Packets == 0:
		j.add(s, ruleSilent, "", finding.Args{"Client": client, "Count": s.Client.SYN, "Waited": s.Took + s.Quiet}, traceIt(s))
		return false
	}
	return true
}

// replies judges what the server said.
func (j *judge) replies(s *capture.Stream) {
	for i := range s.Stages {
		st := &s.Stages[i]
		if !st.Done || st.OK {
			continue
		}
		switch {
		case st.Name == "auth" && (st.Code == 535 || st.Code == 534 || st.Code == 454), s.Protocol != "smtp" && login(st):
			user := ""
			if st.Name == "login" || st.Name == "user" {
				user = st.Arg
			}
			j.add(s, ruleLogin, st.Reply, finding.Args{"Client": s.Client.Addr.Addr().String(), "User": user, "Reply": oneLine(st.Reply)}, nil)
		case s.Protocol == "smtp" && (st.Code >= 400) && st.Name != "vrfy" && st.Name != "expn" && st.Name != "ehlo":
			j.refusal(s, st)
		}
	}
	switch {
	case s.Banner > lateBanner:
		j.add(s, ruleLateBanner, "", finding.Args{"Waited": s.Banner}, nil)
	case s.SYNACK && !s.Midway && s.OneSided == "" && s.Server.Bytes == 0 && s.Client.Bytes == 0 && s.Took+s.Quiet >= noBanner:
		j.add(s, ruleNoBanner, "", finding.Args{"Waited": s.Took + s.Quiet}, nil)
	}
}

func login(st *capture.Stage) bool {
	switch st.Name {
	case "pass", "apop", "login", "authenticate":
		return true
	case "auth":
		return st.Arg != ""
	}
	return false
}

func (j *judge) refusal(s *capture.Stream, st *capture.Stage) {
	command := strings.ToUpper(st.Name)
	switch st.Name {
	case "greeting":
		command = "CONN"
	case "ehlo2", "helo":
		command = "EHLO"
	case "message", "bdat":
		command = "DATA"
	}
	read := j.know.ReadReply(st.Reply, knowledge.ReplyContext{Command: command})
	what := finding.Raw(strings.TrimSpace(strings.ToUpper(st.Name) + " " + st.Arg))
	switch st.Name {
	case "message":
		what = stageWord(st.Name)
	case "greeting":
		what = finding.S("the connection itself", nil)
	}
	args := finding.Args{"What": what, "Cause": read.CauseName.Say(), "Reply": oneLine(st.Reply), "Advice": read.Admin.Say()}
	if read.CauseName.EN == "" {
		args["Cause"] = finding.S("cause unknown", nil)
	}
	j.add(s, ruleSaidNo, command+read.Cause+strconv.Itoa(st.Code), args, func(f *finding.Finding) {
		owner := read.Owner
		f.Owner = &owner
		if st.Code < 500 {
			level := finding.Warning
			f.Severity = &level
		}
		f.Verify = finding.Cmd("explain", oneLine(st.Reply))
	})
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

// tls judges a handshake.
func (j *judge) tls(s *capture.Stream) {
	t := s.TLS
	if t == nil || t.Established || s.OneSided != "" || s.Midway && !t.Hello {
		return
	}
	switch {
	case t.Alert != "":
		j.add(s, ruleAlert, t.Alert+t.AlertBy, finding.Args{"By": party(t.AlertBy), "Client": s.Client.Addr.Addr().String(), "Alert": alertWord(t.Alert), "SNI": t.SNI}, nil)
	case t.NotTLS:
		j.add(s, ruleHandshake, "plain", finding.Args{"Plain": true, "Answer": t.Answer}, nil)
	case t.Hello && (s.ClosedBy != "" || s.Reset != nil || s.Took+s.Quiet-t.At > noAnswer) && s.Client.Missing+s.Server.Missing == 0:
		j.add(s, ruleHandshake, strconv.FormatBool(t.Answer), finding.Args{"Plain": false, "Answer": t.Answer}, nil)
	}
}

// path judges loss and large packets.
func (j *judge) path(s *capture.Stream) {
	for i, side := range []*capture.Side{&s.Client, &s.Server} {
		from, peer := side.Addr.Addr().String(), []*capture.Side{&s.Server, &s.Client}[i]
		mtu := 0
		for _, m := range s.ICMP {
			if m.Kind == "frag-needed" {
				mtu = m.MTU
			}
		}
		if hole(side, peer) {
			j.add(s, ruleMTU, from, finding.Args{"From": from, "Size": side.Stuck, "Times": side.StuckTimes + 1, "MTU": mtu}, traceIt(s))
			continue
		}
		if side.Resent >= manyResent && side.Resent*100 >= shareResent*side.Segments {
			j.add(s, ruleResent, from, finding.Args{"From": from, "Percent": side.Resent * 100 / side.Segments, "Resent": side.Resent, "Sent": side.Segments}, traceIt(s))
		}
	}
	for _, x := range []struct {
		side *capture.Side
		end  string
	}{{&s.Client, "client"}, {&s.Server, "server"}} {
		if x.side.ZeroWindow >= zeroWindow {
			j.add(s, ruleZeroWindow, x.end, finding.Args{"By": party(x.end), "Waited": x.side.ZeroWindow}, nil)
		}
	}
}

// hole tells the pattern of a path MTU black hole: a large segment goes again and again and is never acknowledged, while
// smaller ones were. A peer that takes nothing does the same, but says so.
func hole(side, peer *capture.Side) bool {
	return side.Stuck >= bigSegment && side.StuckTimes >= stuckTimes && side.Bytes > int64(side.Stuck) && peer.ZeroWindow < zeroWindow
}

// ends judges how the stream ended.
func (j *judge) ends(s *capture.Stream) {
	if s.OneSided != "" {
		return
	}
	over := s.Waiting == "" && polite(s)
	if s.Reset != nil && !over && s.Waiting != "quit" && s.Waiting != "logout" && (s.SYNACK || s.Midway) && (s.TLS == nil || !s.TLS.Established) && s.ClosedBy == "" {
		side, owner := &s.Server, finding.OwnerServer
		if s.Reset.By == "client" {
			side, owner = &s.Client, finding.OwnerSelf
		}
		if s.Reset.Foreign {
			owner = finding.OwnerNetwork
		}
		j.add(s, ruleReset, s.Reset.By+strconv.FormatBool(s.Reset.Foreign), finding.Args{"By": party(s.Reset.By), "Bytes": s.Reset.Bytes, "Foreign": s.Reset.Foreign, "TTL": s.Reset.TTL, "Usual": side.TTL},
			func(f *finding.Finding) {
				f.Owner = &owner
				if s.Reset.Foreign {
					traceIt(s)(f)
				}
			})
		return
	}
	if s.Waiting == "" || s.Waiting == "quit" || s.Waiting == "logout" || s.WaitedFor < noAnswer || s.Server.Missing > 0 || hole(&s.Client, &s.Server) {
		return
	}
	stage := finding.Args{"Stage": stageWord(s.Waiting), "Waited": s.WaitedFor}
	if s.ClosedBy == "client" {
		stage["Client"] = s.Client.Addr.Addr().String()
		if s.WaitedFor < 5*time.Minute {
			j.add(s, ruleGaveUp, s.Waiting, stage, nil)
			return
		}
		delete(stage, "Client")
	}
	stage["Acked"] = s.Acked
	j.add(s, ruleNoAnswer, s.Waiting, stage, nil)
}

// polite tells a conversation that was brought to its end.
func polite(s *capture.Stream) bool {
	for i := range s.Stages {
		if n := s.Stages[i].Name; n == "quit" || n == "logout" {
			return true
		}
	}
	return false
}

func stageWord(name string) finding.Sentence {
	if name == "message" {
		return finding.S("the message itself", nil)
	}
	return finding.Raw(strings.ToUpper(name))
}
