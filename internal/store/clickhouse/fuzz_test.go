package clickhouse

import (
	"errors"
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for _, good := range []string{"clickhouse://10.0.0.1:9000/mail", "clickhouse://li:secret@10.0.0.1:9000,10.0.0.2:9000/mail?cluster=all&quorum=2&dial_timeout=2s", "clickhouse://db.mine.example:9440/mail?secure=true"} {
		if _, err := new(Store).parse(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "http://10.0.0.1/mail", "clickhouse://li:secret@", "clickhouse://h:9000/mail?cluster=a b", "clickhouse://h:9000/mail;DROP", "clickhouse://h:9000/m?quorum=x", "clickhouse://h:9000/m?nonsense=secret"} {
		s := &Store{}
		_, err := s.parse(bad)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", bad, err)
		}
		if err != nil && !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v", bad, err)
		}
		if err == nil && !isName(s.db) {
			t.Errorf("%s: database %q", bad, s.db)
		}
	}
	if err := hidden(errors.New("user li, password secret, refused"), "secret"); strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// FuzzQuote holds that a string of SQL ends where its quotes say.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "'", `\`, `\'`, "a\x00b\xff\n", "'; DROP TABLE piece --"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(s)
		in := q[1 : len(q)-1]
		for i := 0; i < len(in); i++ {
			if in[i] == '\\' {
				i++
			} else if in[i] == '\'' {
				t.Fatalf("%q became %s", s, q)
			}
		}
		if strings.HasSuffix(strings.ReplaceAll(in, `\\`, ""), `\`) {
			t.Fatalf("%q became %s: its end is escaped", s, q)
		}
	})
}
