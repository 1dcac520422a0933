package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/audit"
)

func publicKeys(t *testing.T, dir string) []ed25519.PublicKey {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, audit.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := audit.ParseKeys(raw)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestKeyIsKept(t *testing.T) {
	dir := t.TempDir()
	k, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, audit.KeyFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	again, err := audit.OpenKey(dir)
	if err != nil || again.Public() != k.Public() || len(publicKeys(t, dir)) != 1 {
		t.Errorf("%v", err)
	}
	if err := os.Remove(filepath.Join(dir, audit.KeyFile)); err != nil { // as after a restore: backups have no private key
		t.Fatal(err)
	}
	if other, err := audit.OpenKey(dir); err != nil || other.Public() == k.Public() || len(publicKeys(t, dir)) != 2 {
		t.Errorf("a new key: %v", err)
	}
	for _, bad := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		d := t.TempDir()
		if err := os.WriteFile(filepath.Join(d, audit.KeyFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.OpenKey(d); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

func TestSignedRecords(t *testing.T) {
	dir := t.TempDir()
	l, err := audit.Open(filepath.Join(dir, "audit.log"), now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.AppendSigned(audit.Record{What: "store.delete"}); !errors.Is(err, audit.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	k, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.SignWith(k)
	for i, r := range []audit.Record{{What: "store.delete", Target: "segment 1", Detail: "日志 \xff <x> " + strings.Repeat("é", 5000)}, {What: "login"}} {
		add := l.Append
		if i == 0 {
			add = l.AppendSigned
		}
		if _, err := add(r); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	signed := 0
	_, err = audit.Verify(bytes.NewReader(raw), audit.Head{}, func(r *audit.Record) {
		by, ok := r.Signer(publicKeys(t, dir))
		if ok != (r.What == "store.delete") || ok && len(audit.Fingerprint(by)) != 64 {
			t.Errorf("%s: signed %v", r.What, ok)
		}
		if ok {
			signed++
			changed := *r
			changed.Target = "segment 2"
			if _, ok := changed.Signer(publicKeys(t, dir)); ok {
				t.Error("a changed record is taken for signed")
			}
			if _, ok := r.Signer(publicKeys(t, keyed(t))); ok {
				t.Error("another key is taken for the one that signed")
			}
		}
	})
	if err != nil || signed != 1 {
		t.Errorf("%d signed, %v", signed, err)
	}
}

func keyed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := audit.OpenKey(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOldRecordsAreForgotten(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "audit.log")
	at := now()
	l, err := audit.Open(name, func() time.Time { at = at.Add(time.Hour); return at })
	if err != nil {
		t.Fatal(err)
	}
	var heads []audit.Head
	for i := range 20 {
		h, err := l.Append(audit.Record{What: "login", Detail: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
	}
	if _, err := l.Forget(at, ""); !errors.Is(err, audit.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	k, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.SignWith(k)
	if gone, err := l.Forget(now(), "li"); gone != 0 || err != nil {
		t.Errorf("nothing is so old: %d %v", gone, err)
	}
	if gone, err := l.Forget(now().Add(12*time.Hour+time.Minute), "li"); gone != 12 || err != nil {
		t.Fatalf("%d %v", gone, err)
	}
	if gone, err := l.Forget(now().Add(15*time.Hour+time.Minute), "li"); gone != 3 || err != nil { // again: 12, 13, 14
		t.Fatalf("%d %v", gone, err)
	}
	rs, err := l.Page(-1, 100, nil)
	if err != nil || len(rs) != 7 || rs[0].What != "audit.delete" || rs[0].Who != "li" || rs[0].Sig == "" || rs[6].N != 15 || !strings.Contains(rs[0].Detail, heads[14].Hash) {
		t.Errorf("%d records, %+v, %v", len(rs), rs[0], err)
	}
	if _, err := l.Append(audit.Record{What: "logout"}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = audit.Open(name, now); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for kept, want := range map[audit.Head]error{heads[19]: nil, heads[15]: nil, heads[14]: nil, heads[3]: audit.ErrGone, {Count: 40, Hash: heads[3].Hash}: audit.ErrCut} {
		if _, err := audit.Verify(bytes.NewReader(raw), kept, nil); !errors.Is(err, want) {
			t.Errorf("head %s: %v, want %v", kept, err, want)
		}
	}
	keys := publicKeys(t, dir)
	if gone, ok, err := audit.Beginning(bytes.NewReader(raw), keys); gone != 15 || !ok || err != nil {
		t.Errorf("%d %v %v", gone, ok, err)
	}
	forged := bytes.Replace(raw, []byte(heads[14].Hash), []byte(heads[13].Hash), 1)
	if _, ok, _ := audit.Beginning(bytes.NewReader(forged), keys); ok {
		t.Error("a forged beginning is taken for signed")
	}
	if p, err := audit.Prove(bytes.NewReader(raw), 17); err != nil || p.First != 15 || p.Check() != nil {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := audit.Prove(bytes.NewReader(raw), 14); err == nil {
		t.Error("a record that is gone was proved")
	}
}

// Pages read from the end are those of a whole log, wherever they begin.
func TestPagesOfALongLog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.Open(name, now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const all = 3000
	for i := range all {
		if _, err := l.Look(audit.Record{What: "see.journey", Detail: strings.Repeat("x", i*37%900)}); err != nil {
			t.Fatal(err)
		}
	}
	for before := int64(-1); before < all+40; before += 41 {
		rs, err := l.Page(before, 7, func(r *audit.Record) bool { return r.N%3 == 0 })
		if err != nil {
			t.Fatal(err)
		}
		n := before
		if before < 0 || before > all {
			n = all
		}
		var want []int64
		for n--; n >= 0 && len(want) < 7; n-- {
			if n%3 == 0 {
				want = append(want, n)
			}
		}
		if len(rs) != len(want) {
			t.Fatalf("before %d: %d records, want %d", before, len(rs), len(want))
		}
		for i := range want {
			if rs[i].N != want[i] {
				t.Fatalf("before %d: record %d, want %d", before, rs[i].N, want[i])
			}
		}
	}
}
