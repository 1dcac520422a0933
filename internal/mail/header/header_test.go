package header

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	msg := "Received: from a\r\n\tby b;\r\n Mon\r\nSubject:  one \r\nX-Empty:\r\nsubject : two\r\n\r\nbody\r\n\r\n"
	b, body, err := Parse(strings.NewReader(msg), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(body)
	if string(rest) != "body\r\n\r\n" {
		t.Errorf("body %q", rest)
	}
	if string(b.Raw)+string(rest) != msg {
		t.Errorf("raw %q", b.Raw)
	}
	if len(b.Fields) != 4 || b.Fields[0].Value() != "from a\tby b; Mon" {
		t.Fatalf("%d fields, first %q", len(b.Fields), b.Fields[0].Raw)
	}
	all := b.All("SUBJECT")
	if len(all) != 2 || all[0].Value() != "one" || all[1].Value() != "two" || all[1].Name != "subject" {
		t.Errorf("subjects %v", all)
	}
	if all[1].Line != 6 || msg[all[1].Offset:][:7] != "subject" || !b.Has(SpaceInName) {
		t.Errorf("second subject at line %d offset %d, faults %v", all[1].Line, all[1].Offset, b.Faults)
	}
	if b.Get("x-empty") != "" || b.First("x-empty") == nil || b.First("no") != nil {
		t.Error("empty and absent fields are mixed up")
	}
}

func TestBrokenForms(t *testing.T) {
	for _, c := range []struct {
		name, msg, subject, body string
		fault                    FaultKind
	}{
		{"bare LF", "Subject: a\n\nb", "a", "b", ""},
		{"mixed", "Subject: a\r\nX: 1\n\nb", "a", "b", MixedLineEnds},
		{"mbox", "From li@mine.example Mon Jan  1 00:00:00 2024\nSubject: a\n\nb", "a", "b", EnvelopeLine},
		{"quoted mbox", ">From li@mine.example\nSubject: a\n\nb", "a", "b", EnvelopeLine},
		{"mark", "\xef\xbb\xbfSubject: a\n\nb", "a", "b", ByteOrderMark},
		{"blank first", "\r\n\r\nSubject: a\r\n\r\nb", "a", "b", LeadingBlank},
		{"junk line", "X: 1\nthis is no field\nSubject: a\n\nb", "a", "b", NotAField},
		{"no blank line", "Subject: a\nDear all,\nhow are you\nX: 1\n", "a", "Dear all,\nhow are you\nX: 1\n", NoBlankLine},
		{"orphan", " folded\nSubject: a\n\nb", "a", "b", OrphanFolding},
		{"empty fold", "Subject: a\n \n b\n\nc", "a  b", "c", EmptyFolding},
		{"no body", "Subject: a\n", "a", "", EndsInHeader},
		{"no line end", "Subject: a", "a", "", EndsInHeader},
		{"nothing", "", "", "", ""},
		{"only body", "\nhello", "", "hello", ""},
		{"NUL", "Subject: a\x00\n\nb", "a\x00", "b", NulByte},
		{"8 bit", "Subject: caf\xe9\n\nb", "caf\xe9", "b", RawEightBit},
		{"UTF-8", "Subject: café\n\nb", "café", "b", RawUTF8},
		{"long", "Subject: " + strings.Repeat("x", 1000) + "\n\nb", strings.Repeat("x", 1000), "b", LineTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, body, err := Parse(strings.NewReader(c.msg), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(body)
			if got := b.Get("Subject"); got != c.subject || string(rest) != c.body {
				t.Errorf("subject %q body %q, want %q %q", got, rest, c.subject, c.body)
			}
			if c.fault != "" && !b.Has(c.fault) || c.fault == "" && len(b.Faults) > 0 {
				t.Errorf("faults %v, want %q", b.Faults, c.fault)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	_, _, err := Parse(strings.NewReader("A: "+strings.Repeat("x", 5000)), Limits{Bytes: 1000})
	if !errors.Is(err, ErrTooBig) {
		t.Errorf("bytes: %v", err)
	}
	b, _, err := Parse(strings.NewReader(strings.Repeat("A: b\n", 50)), Limits{Fields: 10})
	if !errors.Is(err, ErrTooBig) || len(b.Fields) != 11 {
		t.Errorf("fields: %v, %d", err, len(b.Fields))
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"=?UTF-8?B?5L2g5aW9?= =?utf-8?q?_world?=", "你好 world"},
		{"=?GBK?B?xOO6ww==?=", "你好"},
		{"=?gb2312?Q?=C4=E3=BA?= =?gb2312?Q?=C3?=", "你好"}, // cut inside a character
		{"=?gb18030?B?xOO6ww?=", "你好"},                    // padding missing
		{"=?Big5?B?p0Gmbg==?=", "你好"},
		{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"},
		{"=?utf-7?Q?+T2BZfQ-?=", "你好"},
		{"=?windows-1252?Q?caf=E9?= au lait", "café au lait"},
		{"a =?utf-8?q?b?= c =?utf-8?q?d?=", "a b c d"},
		{"=?utf-8*en?q?b?=", "b"},
		{"=?utf-8?q?=E4=BD=A0 x?=", "你 x"},
		{"=?x-unknown-thing?q?abc?=", "abc"},
		{"=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
		{"=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="},
		{"=?", "=?"},
		{"caf\xe9", "café"},
		{"\xc4\xe3\xba\xc3", "你好"}, // raw GBK
	} {
		if got := Decode(c.in); got != c.want {
			t.Errorf("Decode(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Subject: a\r\n b\r\n\r\nbody"))
	f.Add([]byte("no field\nno field\n:"))
	f.Add([]byte("\xef\xbb\xbf\n\nFrom x\nA:=?gbk?q?=c4?=\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		b, body, err := Parse(bytes.NewReader(msg), Limits{})
		if err != nil && !errors.Is(err, ErrTooBig) {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(body)
		if err == nil && !bytes.Equal(append(bytes.Clone(b.Raw), rest...), msg) {
			t.Fatalf("%q + %q is not %q", b.Raw, rest, msg)
		}
		last := 0
		for i := range b.Fields {
			x := &b.Fields[i]
			if x.Offset < last || !bytes.Equal(msg[x.Offset:x.Offset+len(x.Raw)], x.Raw) {
				t.Fatalf("field %d is not at offset %d", i, x.Offset)
			}
			last = x.Offset + len(x.Raw)
			if !validUTF8([]byte(x.Text())) {
				t.Fatalf("text of %q is not UTF-8", x.Raw)
			}
		}
	})
}
