package knowledge

import (
	"slices"
	"strings"
	"testing"
)

func TestWordsLint(t *testing.T) {
	w, err := Embedded().Words()
	if err != nil {
		t.Fatal(err)
	}
	causes, err := Embedded().Causes()
	if err != nil {
		t.Fatal(err)
	}
	if w.Checked.Year == 0 {
		t.Error("no date")
	}
	used := map[string]bool{}
	for i := range w.Meaning {
		m := &w.Meaning[i]
		if causes.ByID(m.Cause) == nil {
			t.Errorf("meaning %v: no cause %q", m.All, m.Cause)
		}
		for _, kinds := range slices.Concat(m.All, m.None) {
			for _, k := range strings.Fields(kinds) {
				used[k] = true
				if len(w.Kind[k]) == 0 {
					t.Errorf("meaning %v of %s: no kind %q", m.All, m.Cause, k)
				}
			}
		}
		if len(m.Example) == 0 {
			t.Errorf("meaning %v of %s: no example", m.All, m.Cause)
		}
		for _, ex := range m.Example {
			code, _ := Codes(ex)
			if got, words := w.Read(ex, code); got == nil || got.Cause != m.Cause {
				t.Errorf("%s: example %q is read as %+v by %q", m.Cause, ex, got, words)
			}
		}
	}
	for k, words := range w.Kind {
		if !used[k] {
			t.Errorf("no meaning uses the kind %q", k)
		}
		for _, word := range words {
			if word != strings.ToLower(word) || strings.Trim(word, "|") == "" {
				t.Errorf("%s: %q: lower case, not empty", k, word)
			}
		}
	}
}

// TestWordsKeepOut holds what the words of a sentence must not be taken for.
func TestWordsKeepOut(t *testing.T) {
	w, err := Embedded().Words()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"550 zzz", "", "Hello, thank you for your message", "250 2.0.0 OK", "220 mail.partner.example ESMTP ready",
		"554 see https://partner.example/spam/not-found for details",
		"550 5.7.1 contact postmaster@unknown.example",
	} {
		if m, words := w.Read(text, text[:min(3, len(text))]); m != nil {
			t.Errorf("%q is read as %s by %q", text, m.Cause, words)
		}
	}
}

func FuzzWords(f *testing.F) {
	w, err := Embedded().Words()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("550 Dieses Konto wurde deaktiviert; 账号 已停用。", "550")
	f.Fuzz(func(t *testing.T, text, code string) {
		if m, words := w.Read(text, code); m != nil && words == "" {
			t.Errorf("%q: %s without a reason", text, m.Cause)
		}
	})
}
