package dmarcxml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const head = `<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">
<version>1.0</version>
<report_metadata><org_name>Reporter &amp; Sons</org_name><email>r@example.net</email><report_id>id-1</report_id>
<date_range><begin>1700000000</begin><end>1700086399</end></date_range><error>one</error></report_metadata>
<policy_published><domain>Example.com</domain><adkim>r</adkim><aspf>s</aspf><p>reject</p><sp>none</sp><np>reject</np><pct>100</pct><testing>n</testing><discovery_method>treewalk</discovery_method></policy_published>
`

const record = `<record><row><source_ip>192.0.2.7</source_ip><count>3</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>
<reason><type>forwarded</type><comment>looks so</comment></reason></policy_evaluated></row>
<identifiers><envelope_from>bounce.example.com</envelope_from><header_from>example.com</header_from></identifiers>
<auth_results><dkim><domain>example.com</domain><selector>s1</selector><result>pass</result></dkim><spf><domain>bounce.example.com</domain><scope>mfrom</scope><result>fail</result></spf></auth_results></record>
`

func document(rows int) string {
	return head + strings.Repeat(record, rows) + "</feedback>\n"
}

func read(s string) (*Report, []string, error) {
	var rows []string
	rep, err := Read(strings.NewReader(s), func(_ *Report, r *Row) error {
		line := fmt.Sprintf("%s %d %s %s %s %s %s", r.IP, r.Count, r.Disposition, r.DKIM, r.SPF, r.HeaderFrom, r.EnvelopeFrom)
		for _, a := range r.AuthDKIM {
			line += fmt.Sprintf(" dkim=%s/%s/%s", a.Domain, a.Selector, a.Result)
		}
		for _, a := range r.AuthSPF {
			line += fmt.Sprintf(" spf=%s/%s/%s", a.Domain, a.Scope, a.Result)
		}
		for _, a := range r.Reasons {
			line += fmt.Sprintf(" reason=%s/%s", a.Type, a.Comment)
		}
		rows = append(rows, line)
		return nil
	})
	return rep, rows, err
}

func TestRead(t *testing.T) {
	rep, rows, err := read(document(2))
	if err != nil {
		t.Fatal(err)
	}
	want := "192.0.2.7 3 none pass fail example.com bounce.example.com dkim=example.com/s1/pass spf=bounce.example.com/mfrom/fail reason=forwarded/looks so"
	if len(rows) != 2 || rows[0] != want || rows[1] != want {
		t.Errorf("rows:\n%s\nwant\n%s", strings.Join(rows, "\n"), want)
	}
	if rep.Org != "Reporter & Sons" || rep.ID != "id-1" || rep.Begin != 1700000000 || rep.End != 1700086399 || rep.Namespace != Namespace ||
		rep.Policy != (Published{Domain: "example.com", P: "reject", SP: "none", NP: "reject", ADKIM: "r", ASPF: "s", Pct: "100", Testing: "n", Discovery: "treewalk"}) || rep.Rows != 2 || len(rep.Errors) != 1 {
		t.Errorf("head: %+v", rep)
	}
}

func TestReadForms(t *testing.T) {
	for name, s := range map[string]string{
		"prefix":          strings.NewReplacer("<feedback xmlns=", "<d:feedback xmlns:d=", "</feedback>", "</d:feedback>").Replace(document(1)),
		"bom":             "\xef\xbb\xbf" + document(1),
		"comments":        strings.ReplaceAll(document(1), "<row>", "<!-- <x> --><row><?pi a?>"),
		"cdata":           strings.ReplaceAll(document(1), ">192.0.2.7<", "><![CDATA[192.0.2.7]]><"),
		"references":      strings.ReplaceAll(document(1), ">192.0.2.7<", ">192&#46;0&#x2e;2.7<"),
		"empty elements":  strings.ReplaceAll(document(1), "<reason>", "<reason/><new at='>'/><reason>"),
		"unknown nesting": strings.ReplaceAll(document(1), "<row>", "<ext:a xmlns:ext='x'><count>9</count></ext:a><row>"),
		"no declaration":  strings.TrimPrefix(document(1), `<?xml version="1.0" encoding="UTF-8"?>`),
		"latin1":          strings.Replace(strings.Replace(document(1), "UTF-8", "ISO-8859-1", 1), "Reporter", "R\xe9porter", 1),
	} {
		_, rows, err := read(s)
		if err != nil || len(rows) != 1 || !strings.HasPrefix(rows[0], "192.0.2.7 3 none") {
			t.Errorf("%s: %v %v", name, rows, err)
		}
	}
}

func TestReadBroken(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"empty":          {"", "no element found"},
		"cut":            {document(3)[:900], "ends inside"},
		"wrong end":      {strings.Replace(document(1), "</row>", "</wor>", 1), "line 8, column"},
		"name":           {strings.Replace(document(1), "<email>", "<email><a@b>", 1), "no element name"},
		"utf-8":          {strings.Replace(document(1), "Sons", "S\x91ns", 1), "no UTF-8"},
		"bare &":         {strings.Replace(document(1), "&amp;", "& ", 1), "bare &"},
		"entity":         {strings.Replace(document(1), "&amp;", "&lol;", 1), "entity &lol;"},
		"doctype":        {`<!DOCTYPE a [<!ENTITY lol "lol">]><feedback/>`, "document type"},
		"other root":     {"<html></html>", "not a DMARC aggregate report"},
		"two roots":      {document(1) + "<feedback/>", "after the root"},
		"text after":     {document(1) + "x", "outside the root"},
		"deep":           {"<feedback>" + strings.Repeat("<a>", 100), "nested more"},
		"encoding":       {`<?xml version="1.0" encoding="EBCDIC"?><feedback/>`, "encoding ebcdic"},
		"utf-16":         {"\xff\xfe<\x00", "UTF-16"},
		"long text":      {"<feedback><version>" + strings.Repeat("a", 3<<20), "longer than"},
		"no end of tag":  {"<feedback" + strings.Repeat(" a", 1<<20), "> is missing"},
		"not XML at all": {"hello", "outside the root"},
	} {
		_, _, err := read(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something with %q", name, err, c.want)
		}
	}
}

func TestReadOneByteAtATime(t *testing.T) {
	n := 0
	_, err := Read(iotest.OneByteReader(strings.NewReader(document(5))), func(_ *Report, r *Row) error { n += int(r.Count); return nil })
	if err != nil || n != 15 {
		t.Errorf("%d messages, %v", n, err)
	}
	stop := errors.New("enough")
	if _, err := Read(strings.NewReader(document(5)), func(*Report, *Row) error { return stop }); err != stop {
		t.Errorf("an error of the caller: %v", err)
	}
	if _, err := Read(iotest.TimeoutReader(strings.NewReader(document(5000))), func(*Report, *Row) error { return nil }); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("an error of the source: %v", err)
	}
}

func TestBadRows(t *testing.T) {
	s := strings.Replace(document(3), "192.0.2.7", "nowhere", 1)
	s = strings.Replace(s, "<count>3", "<count>-1", 2)
	rep, rows, err := read(s)
	if err != nil || rep.Rows != 3 || rep.BadRows != 2 || len(rows) != 1 {
		t.Errorf("%+v %v %v", rep, rows, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(document(2)))
	f.Add([]byte("<feedback><![CDATA[]]><!----></feedback>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows := 0
		rep, err := Read(strings.NewReader(string(b)), func(_ *Report, r *Row) error { rows++; _ = r.Aligned(); return nil })
		if rows > rep.Rows {
			t.Fatalf("%d rows given, %d counted", rows, rep.Rows)
		}
		again := 0
		rep2, err2 := Read(iotest.HalfReader(strings.NewReader(string(b))), func(*Report, *Row) error { again++; return nil })
		if again != rows || (err == nil) != (err2 == nil) || rep.Org != rep2.Org {
			t.Fatalf("read in other pieces: %d and %d rows, %v and %v", rows, again, err, err2)
		}
	})
}

// rows makes a report of n records without holding it.
func rows(n int) io.Reader {
	return io.MultiReader(strings.NewReader(head), &repeat{s: record, n: n}, strings.NewReader("</feedback>"))
}

type repeat struct {
	s      string
	n, pos int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.n == 0 {
			return n, io.EOF
		}
		k := copy(p[n:], r.s[r.pos:])
		n += k
		if r.pos += k; r.pos == len(r.s) {
			r.pos, r.n = 0, r.n-1
		}
	}
	return n, nil
}

const benchRows = 20_000

// BenchmarkRead and BenchmarkEncodingXML read the same report; the ratio of their records/s is the figure to look at.
func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if _, err := Read(rows(benchRows), func(_ *Report, r *Row) error { n++; return nil }); err != nil || n != benchRows {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkEncodingXML(b *testing.B) {
	type rec struct {
		IP    string `xml:"row>source_ip"`
		Count int    `xml:"row>count"`
		Disp  string `xml:"row>policy_evaluated>disposition"`
		DKIM  string `xml:"row>policy_evaluated>dkim"`
		SPF   string `xml:"row>policy_evaluated>spf"`
		From  string `xml:"identifiers>header_from"`
		Auth  struct {
			DKIM []struct{ Domain, Result, Selector string } `xml:"dkim"`
			SPF  []struct{ Domain, Result string }           `xml:"spf"`
		} `xml:"auth_results"`
	}
	for b.Loop() {
		d := xml.NewDecoder(rows(benchRows))
		n := 0
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if s, ok := tok.(xml.StartElement); ok && s.Name.Local == "record" {
				var r rec
				if err := d.DecodeElement(&r, &s); err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		if n != benchRows {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
