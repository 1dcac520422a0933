package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

type reportMemory struct {
	mu    sync.Mutex
	mark  Mark
	sums  []*feedback.Sum
	fail  int // that many times
	tries int
}

func (m *reportMemory) Mark(context.Context, string) (Mark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mark, nil
}

func (m *reportMemory) Keep(_ context.Context, r *Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tries++; m.tries <= m.fail {
		return errAway
	}
	if r.From != m.mark {
		return ErrMoved
	}
	m.mark = r.To
	m.sums = append(m.sums, r.Sum)
	return nil
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

type dialTo string

func (d dialTo) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, string(d))
}

const reportMail = "From: reports@big.example\r\nSubject: Report %d\r\nContent-Type: text/xml\r\n\r\n" +
	`<feedback><report_metadata><org_name>big.example</org_name><report_id>%d</report_id><date_range><begin>1795219200</begin><end>1795305600</end></date_range></report_metadata>` +
	`<policy_published><domain>mine.example</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip><count>3</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>mine.example</header_from></identifiers></record></feedback>`

func TestMailbox(t *testing.T) {
	now := time.Now()
	ca, err := wiretest.NewCA("root", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"imap.mine.example"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	user := imapmemserver.NewUser("reports", "secret")
	if err := user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		t.Helper()
		if _, err := user.Append("INBOX", literal{bytes.NewReader([]byte(text))}, &imap.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	mem := imapmemserver.New()
	mem.AddUser(user)
	srv := imapserver.New(&imapserver.Options{TLSConfig: wiretest.Config(cert), NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
		return mem.NewSession(), nil, nil
	}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })

	pw := filepath.Join(t.TempDir(), "password")
	write(t, pw, "secret\n")
	sink := &reportMemory{fail: 1}
	o := quick()
	o.Dial, o.Roots = dialTo(ln.Addr().String()), ca.Pool()
	c := Config{Kind: "mailbox", URL: "imap://reports@imap.mine.example", PasswordFile: pw}
	in, err := New(o, []Config{c}, newMemory(), sink)
	if err != nil {
		t.Fatal(err)
	}
	box := in.runs[0].(*reportsBox)
	put(fmt.Sprintf(reportMail, 1, 1))
	put("From: li@mine.example\r\nSubject: no report\r\n\r\nhello\r\n")
	if err := box.poll(t.Context()); !errors.Is(err, errAway) || sink.mark != (Mark{}) {
		t.Fatalf("a store that is away: %v, mark %+v", err, sink.mark)
	}
	for range 2 { // the second finds nothing new
		if err := box.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put(fmt.Sprintf(reportMail, 2, 2))
	if err := box.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	messages := uint64(0)
	for _, s := range sink.sums {
		messages += s.Messages
	}
	if len(sink.sums) != 3 || messages != 6 || sink.mark.UID != 3 || sink.mark.Validity == 0 {
		t.Errorf("%d messages of mail, %d in reports, mark %+v", len(sink.sums), messages, sink.mark)
	}
	if st := in.Stats().Sources[0]; st.Lines != 3 || st.Stored.IsZero() {
		t.Errorf("%+v", st)
	}
	if err := os.WriteFile(pw, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := box.poll(t.Context()); err == nil {
		t.Error("a wrong password was taken")
	}
}
