package content

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

func facts(t testing.TB, msg string) (*Facts, *knowledge.Content) {
	t.Helper()
	table, err := knowledge.Embedded().Content()
	if err != nil {
		t.Fatal(err)
	}
	h, body, _ := header.ParseBytes([]byte(msg), header.Limits{})
	return Read(h, body, len(msg), table, func(host string) *Alike {
		if host == "paypa1.com" {
			return &Alike{Brand: "PayPal", Real: "paypal.com"}
		}
		return nil
	}), table
}

func failures(t testing.TB, msg string) []string {
	f, table := facts(t, msg)
	var ids []string
	for _, x := range Judge(f, table, finding.Subject{}) {
		for _, l := range []finding.Lang{finding.EN, finding.ZH} {
			if s := x.Says().In(l); strings.Contains(s, "{{") {
				t.Errorf("%s cannot be said: %s", x.Rule.ID, s)
			}
		}
		if x.Outcome == finding.Fail {
			ids = append(ids, x.Rule.ID)
		}
	}
	return ids
}

func htmlMail(body string) string {
	return "Subject: report for May\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nThe report for May is ready and has all the numbers.\r\n--b\r\nContent-Type: text/html\r\n\r\n<html><body><p>The report for May is ready and has all the numbers.</p>" + body + "</body></html>\r\n--b--\r\n"
}

func TestJudge(t *testing.T) {
	long := strings.Repeat("harmless words of a book ", 20)
	for _, c := range []struct{ name, msg, want string }{
		{"sound", htmlMail(""), ""},
		{"plain only", "Subject: hello\r\n\r\nHow are you?", ""},
		{"html only", "Subject: hello\r\nContent-Type: text/html\r\n\r\n<p>How are you?</p>", "content.no-plain-text"},
		{"phrases", "Subject: hello\r\n\r\nVerify your account now, dear customer.", "content.phrases"},
		{"Chinese phrases", "Subject: hello\r\n\r\n我公司代开 发票，税点优惠", "content.phrases"},
		{"one weak word", "Subject: hello\r\n\r\nClick here to read it.", ""},
		{"shouting", "Subject: hello\r\n\r\n" + strings.Repeat("READ THIS NOW OR LOSE ", 5), "content.capitals"},
		{"subject", "Subject: FREE!!! FREE!!! MONEY\r\n\r\nHow are you?", "content.subject"},
		{"nothing", "Subject: hello\r\n\r\n", "content.empty"},
		{"hidden", htmlMail("<div style='display : none'>" + long + "</div>"), "content.hidden-text"},
		{"white on white", htmlMail("<p style='color:#fff;background-color:white'>" + long + "</p>"), "content.hidden-text"},
		{"preview line", htmlMail("<div style='display:none'>Your report is ready</div>"), ""},
		{"tiny", htmlMail("<span style='font-size: 1px'>" + long + "</span>"), "content.tiny-text"},
		{"form", htmlMail("<form action='https://x.example'><input name=p></form>"), "content.form"},
		{"script", htmlMail("<script>alert(1)</script>"), "content.script"},
		{"handler", htmlMail("<p onclick='x()'>hi</p>"), "content.script"},
		{"broken", htmlMail("<div><b><i></div></span></span><table><div><div>"), "content.broken-html"},
		{"image only", "Subject: hello\r\nContent-Type: text/html\r\n\r\n<img src='https://x.example/a.png' alt='a'>", "content.no-plain-text content.image-only"},
		{"text differs", htmlMail("<a href='https://evil.example/x'>https://www.bank.example/login</a>"), "link.text-differs"},
		{"text of the same site", htmlMail("<a href='https://click.bank.com/x'>www.bank.com</a>"), ""},
		{"text is a file name", htmlMail("<a href='https://mine.example/report.pdf'>report.docx</a>"), ""},
		{"shortener", htmlMail("<a href='https://bit.ly/abc'>here</a>"), "link.shortener"},
		{"bare address", htmlMail("<a href='http://192.0.2.7/x'>here</a>"), "link.ip-address"},
		{"look-alike", htmlMail("<a href='http://paypa1.com/x'>here</a>"), "link.lookalike"},
		{"user part", htmlMail("<a href='https://bank.example@evil.example/'>here</a>"), "link.user-part"},
		{"script link", htmlMail("<a href='javascript:alert(1)'>here</a>"), "link.scheme"},
		{"bulk", "Subject: hello\r\nPrecedence: bulk\r\n\r\nNews of May", "list.no-unsubscribe"},
		{"bulk with mailto", "Subject: hello\r\nList-Unsubscribe: <mailto:off@mine.example>\r\n\r\nNews of May", "list.one-click"},
		{"bulk one click", "Subject: hello\r\nList-Unsubscribe: <https://mine.example/u/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nNews of May", ""},
		{"big", "Subject: hello\r\n\r\n" + strings.Repeat("a line of the log\r\n", 700000), "size.limit"},
		{"structure", "Subject: hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHow are you?\r\n", "content.structure"},
	} {
		got := failures(t, c.msg)
		want := strings.Fields(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(slices.Compact(got), want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
}

func attach(name string, data []byte) string {
	return "Subject: hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe report for May.\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(data) + "\r\n--b--\r\n"
}

func zipped(names ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		w, _ := z.Create(n)
		_, _ = w.Write([]byte("x"))
	}
	_ = z.Close()
	return b.Bytes()
}

func TestFiles(t *testing.T) {
	ole := append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), utf16("_VBA_PROJECT")...)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"report.pdf", []byte("%PDF-1.4"), ""},
		{"setup.exe", []byte("MZ"), "attachment.dangerous"},
		{"report.pdf.exe", []byte("MZ"), "attachment.double-extension"},
		{"report.pdf      .scr", []byte("MZ"), "attachment.double-extension"},
		{"report.pdf", []byte("MZ\x90"), "attachment.disguised"},
		{"report.docx", zipped("word/document.xml"), ""},
		{"report.docx", zipped("word/document.xml", "word/vbaProject.bin"), "attachment.macro"},
		{"report.doc", ole, "attachment.macro"},
		{"report.xlsm", []byte("x"), "attachment.macro"},
		{"all.zip", zipped("a.txt", "b/invoice.js"), "attachment.in-archive"},
		{"login.html", []byte("<html>"), "attachment.web-page"},
	} {
		if got := strings.Join(failures(t, attach(c.name, c.data)), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBounded(t *testing.T) {
	f, _ := facts(t, htmlMail(strings.Repeat("<div>", 100000)+strings.Repeat("<a href=https://x.example/>y</a>", 5000)))
	if len(f.Links) > maxLinks {
		t.Errorf("%d links kept", len(f.Links))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(htmlMail("<a href='//x'>y</a><table><td style=';color:'>"))
	f.Add(attach("a.zip", zipped("b.exe")))
	f.Fuzz(func(t *testing.T, s string) { failures(t, s) })
}
