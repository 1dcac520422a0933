package dnsupdate

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"
)

const secret = "c2VjcmV0IG9mIHRoZSB0ZXN0IGtleSwgMzIgYnl0ZXM="

// primary is a server of one zone that takes signed updates of MX records as RFC 2136 has them.
type primary struct {
	mu      sync.Mutex
	ttl     uint32
	values  []string
	updates int
	mute    bool // answers without a signature
}

func (p *primary) ServeDNS(w miekg.ResponseWriter, r *miekg.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := new(miekg.Msg)
	m.SetReply(r)
	m.Authoritative = true
	t := r.IsTsig()
	switch {
	case t == nil || w.TsigStatus() != nil:
		m.Rcode = miekg.RcodeNotAuth
		_ = w.WriteMsg(m)
		return
	case r.Opcode == miekg.OpcodeUpdate:
		m.Rcode = p.update(r)
	default:
		for _, v := range p.values {
			rr, _ := miekg.NewRR("mine.example. 0 IN MX " + v)
			rr.Header().Ttl = p.ttl
			m.Answer = append(m.Answer, rr)
		}
	}
	if !p.mute {
		m.SetTsig(t.Hdr.Name, t.Algorithm, 300, int64(t.TimeSigned))
	}
	_ = w.WriteMsg(m)
}

func (p *primary) update(r *miekg.Msg) int {
	var wanted []string
	for _, rr := range r.Answer { // prerequisites
		wanted = append(wanted, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(wanted)
	if !slices.Equal(wanted, p.values) {
		return miekg.RcodeNXRrset
	}
	p.updates++
	for _, rr := range r.Ns {
		h := rr.Header()
		if h.Class == miekg.ClassANY {
			p.values = nil
			continue
		}
		p.values, p.ttl = append(p.values, strings.TrimPrefix(rr.String(), h.String())), h.Ttl
	}
	slices.Sort(p.values)
	return miekg.RcodeSuccess
}

func start(t *testing.T, p *primary) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &miekg.Server{Listener: l, Handler: p, TsigSecret: map[string]string{"mailwhy.": secret},
		MsgAcceptFunc: func(miekg.Header) miekg.MsgAcceptAction { return miekg.MsgAccept }}
	up, done := make(chan struct{}), make(chan struct{})
	srv.NotifyStartedFunc = func() { close(up) }
	go func() { defer close(done); _ = srv.ActivateAndServe() }()
	<-up
	t.Cleanup(func() { _ = srv.Shutdown(); <-done })
	return &Server{Address: l.Addr().String(), Zone: "mine.example", Key: Key{"mailwhy", "hmac-sha256", secret}}
}

func TestReplace(t *testing.T) {
	p := &primary{ttl: 3600, values: []string{"10 mx1.mine.example.", "20 mx2.mine.example."}}
	s, ctx := start(t, p), context.Background()
	old, err := s.Read(ctx, "Mine.Example", "mx")
	if err != nil || old.TTL != 3600 || len(old.Values) != 2 {
		t.Fatalf("%+v, %v", old, err)
	}
	low := *old
	low.TTL = 300
	if err := s.Replace(ctx, old, &low); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(ctx, "mine.example", "MX"); err != nil || got.TTL != 300 || !slices.Equal(got.Values, old.Values) {
		t.Errorf("%+v, %v", got, err)
	}
	other := *old
	other.Values = []string{"10 mx3.mine.example."}
	if err := s.Replace(ctx, &other, old); !errors.Is(err, ErrChanged) || p.updates != 1 {
		t.Errorf("changed a zone that is not as it was: %v, %d", err, p.updates)
	}
}

func TestRefusals(t *testing.T) {
	p := &primary{ttl: 60, values: []string{"10 mx1.mine.example."}}
	s, ctx := start(t, p), context.Background()
	bad := *s
	bad.Key.Secret = "YW5vdGhlciBzZWNyZXQ="
	if _, err := bad.Read(ctx, "mine.example", "MX"); err == nil || strings.Contains(err.Error(), "YW5vdGhlci") {
		t.Errorf("another key: %v", err)
	}
	if _, err := s.Read(ctx, "mine.example", "MXX"); err == nil {
		t.Error("a type that there is not")
	}
	set := &Set{Owner: "mine.example", Type: "MX", TTL: 60, Values: []string{"10 mx1.mine.example."}}
	for _, v := range []string{"ten mx1", "10 mx1.mine.example.\nevil.example. 60 IN A 192.0.2.1", ""} {
		if err := s.Replace(ctx, set, &Set{Owner: "mine.example", Type: "MX", Values: []string{v}}); err == nil {
			t.Errorf("%q was taken", v)
		}
	}
	p.mu.Lock()
	p.mute = true
	p.mu.Unlock()
	if _, err := s.Read(ctx, "mine.example", "MX"); err == nil {
		t.Error("an answer without a signature was believed")
	}
	if p.updates != 0 {
		t.Errorf("%d updates", p.updates)
	}
}

func TestReadKey(t *testing.T) {
	k, err := ReadKey("# made by tsig-keygen\nkey \"Mailwhy.\" {\n\talgorithm HMAC-SHA256;\n\tsecret \"" + secret + "\";\n};\n")
	if err != nil || k.Name != "Mailwhy." || k.Algorithm != "hmac-sha256" || k.Secret != secret {
		t.Errorf("%+v, %v", k, err)
	}
	for _, bad := range []string{"", "key x { algorithm hmac-md5; secret \"" + secret + "\"; };", "key x { algorithm hmac-sha256; secret \"%%%\"; };", "secret"} {
		if k, err := ReadKey(bad); err == nil || k != (Key{}) || strings.Contains(err.Error(), "%%%") {
			t.Errorf("%q: %+v, %v", bad, k, err)
		}
	}
}

func FuzzReadKey(f *testing.F) {
	f.Add("key \"mailwhy\" { algorithm hmac-sha256; secret \"" + secret + "\"; };")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ReadKey(s); err == nil && (k.Name == "" || k.Secret == "") {
			t.Errorf("%+v", k)
		}
	})
}
