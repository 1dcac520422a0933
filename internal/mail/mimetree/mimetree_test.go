package mimetree

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

func parse(msg string, lim Limits) *Tree {
	h, body, _ := header.ParseBytes([]byte(msg), header.Limits{})
	return Parse(h, body, lim)
}

func outline(t *Tree) string {
	var out []string
	for _, p := range t.Parts {
		s := p.Path + " " + p.Type
		if p.Filename != "" {
			s += " " + p.Filename
		}
		for _, f := range p.Faults {
			s += " !" + string(f)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, msg, want string }{
		{"plain", "Subject: x\r\n\r\nhello", "1 text/plain"},
		{"alternative with a file", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n--a\r\nContent-Type: application/pdf; name=\"=?utf-8?B?5paH?=.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--a--\r\n",
			"1 multipart/mixed; 1.1 multipart/alternative; 1.1.1 text/plain; 1.1.2 text/html; 1.2 application/pdf 文.pdf"},
		{"RFC 2231 name", "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=utf-8''%E6%96%87.exe\r\n\r\nMZ", "1 application/octet-stream 文.exe"},
		{"not closed", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\ntext\n", "1 multipart/mixed !not-closed; 1.1 text/plain"},
		{"no boundary", "Content-Type: multipart/mixed\n\nx", "1 multipart/mixed !no-boundary"},
		{"nested message", "Content-Type: message/rfc822\n\nSubject: y\nContent-Type: text/html\n\n<b>", "1 message/rfc822; 1.1 text/html"},
		{"broken charset", "Content-Type: text/plain; charset=klingon\n\nx", "1 text/plain !bad-charset"},
		{"broken base64", "Content-Transfer-Encoding: base64\n\n???? not base64", "1 text/plain !bad-encoding"},
		{"bad type", "Content-Type: text/html; charset=utf-8; =; x\n\n<p>", "1 text/html !bad-type"},
	} {
		if got := outline(parse(c.msg, Limits{})); got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", c.name, got, c.want)
		}
	}
}

func TestDecodes(t *testing.T) {
	p := parse("Content-Type: text/plain; charset=gbk\nContent-Transfer-Encoding: quoted-printable\n\n=C4=E3=\n=BA=C3", Limits{}).Parts[0]
	if p.Text != "你好" {
		t.Errorf("%q", p.Text)
	}
}

func TestLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=a\n\n")
	for range 10000 {
		b.WriteString("--a\n\nx\n")
	}
	tree := parse(b.String(), Limits{})
	if len(tree.Parts) != 1000 || !slices.Contains(tree.Faults, TooManyParts) {
		t.Errorf("%d parts, faults %v", len(tree.Parts), tree.Faults)
	}
	tree = parse(strings.Repeat("Content-Type: message/rfc822\n\n", 200)+"\nx", Limits{})
	if len(tree.Parts) > 21 || !slices.Contains(tree.Faults, TooDeep) {
		t.Errorf("%d parts, faults %v", len(tree.Parts), tree.Faults)
	}
	tree = parse("Content-Transfer-Encoding: 8bit\n\n"+strings.Repeat("x", 5000), Limits{Total: 1000})
	if tree.Parts[0].Size > 1000 || !slices.Contains(tree.Faults, TooBig) {
		t.Errorf("%d bytes, faults %v", tree.Parts[0].Size, tree.Faults)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nx: y\r\n\r\n--a--")
	f.Add(fmt.Sprintf("Content-Type: text/plain; charset=%s\n\n\xff\x00", "utf-7"))
	f.Fuzz(func(t *testing.T, s string) {
		tree := parse(s, Limits{Parts: 50, Depth: 5, Total: 1 << 16})
		if len(tree.Parts) == 0 || len(tree.Parts) > 50 {
			t.Fatalf("%d parts", len(tree.Parts))
		}
	})
}
