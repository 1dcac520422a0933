package clickhouse

import (
	"errors"
	"fmt"
	"net/url"
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

func TestSplitPassword(t *testing.T) {
	for _, c := range [][3]string{
		{"clickhouse://li:se%40cr:et@h:9000,i:9000/mail?cluster=all", "clickhouse://li@h:9000,i:9000/mail?cluster=all", "se@cr:et"},
		{"clickhouse://li:a@b/c@h:9000/mail", "clickhouse://li@h:9000/mail", "a@b/c"},
		{"clickhouse://h:9000/mail?cluster=all&password=s%20x&quorum=2", "clickhouse://h:9000/mail?cluster=all&quorum=2", "s x"},
		{"clickhouse://h:9000/mail?password=x", "clickhouse://h:9000/mail", "x"},
		{"clickhouse://li@h:9000/mail", "clickhouse://li@h:9000/mail", ""},
		{"/var/lib/mailwhy", "/var/lib/mailwhy", ""},
	} {
		if clean, secret := SplitPassword(c[0]); clean != c[1] || secret != c[2] {
			t.Errorf("%s: %q and %q", c[0], clean, secret)
		}
	}
	s := &Store{opt: Options{Password: "of a file"}}
	//lint:ignore SA1019 as in parse
	if o, err := s.parse("clickhouse://li:old@h:9000/mail?debug=true"); err != nil || o.Auth.Password != "of a file" || o.Auth.Username != "li" || o.Debug {
		t.Errorf("%+v, %v", o, err)
	}
}

// A password is in no error, however it is written there: bare, as SQL has it, or as a URL.
func TestHidden(t *testing.T) {
	secret := `p'w\d/ö ä`
	err := hidden(fmt.Errorf("%w: user li, %s, remote(h, %s), clickhouse://li:%s@h, %s", ErrNoStore, secret, quote(secret), url.PathEscape(secret), url.QueryEscape(secret)), secret)
	if strings.Contains(err.Error(), "p'w") || strings.Contains(err.Error(), "w%5C") || strings.Contains(err.Error(), `\\d`) || !errors.Is(err, ErrNoStore) {
		t.Error(err)
	}
}

// FuzzSplitPassword holds that nothing of a password is left.
func FuzzSplitPassword(f *testing.F) {
	f.Add("li", "secret")
	f.Add("", "a@b:c/d?e&f=g")
	f.Fuzz(func(t *testing.T, user, secret string) {
		dsn := Prefix + url.UserPassword(user, secret).String() + "@h:9000/mail?cluster=all"
		clean, got := SplitPassword(dsn)
		if got != secret || clean != Prefix+url.User(user).String()+"@h:9000/mail?cluster=all" {
			t.Errorf("%q: %q and %q", dsn, clean, got)
		}
	})
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
