package bimi

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Code
	}{
		{"v=BIMI1; l=https://example.com/logo.svg; a=https://example.com/vmc.pem", nil},
		{"v=BIMI1; l=https://example.com/logo.svg", nil},
		{"v=BIMI1; l=; a=;", nil},
		{"v=bimi1; l=https://example.com/logo.svg", []Code{VersionText}},
		{"v=BIMI1; l=http://example.com/logo.svg", []Code{NotHTTPS}},
		{"v=BIMI1; a=https://example.com/vmc.pem", []Code{NoLocation}},
		{"v=BIMI1; l=https://example.com/logo.svg; l=x", []Code{Repeated}},
	} {
		var got []Code
		r := ParseRecord(c.in)
		for _, p := range r.Problems {
			got = append(got, p.Code)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.in, got, c.want)
		}
	}
	if !ParseRecord("v=BIMI1; l=; a=;").Declined() {
		t.Error("a declination was not seen")
	}
}

func TestCheckLogo(t *testing.T) {
	svg := func(attr, body string) string {
		return `<svg xmlns="http://www.w3.org/2000/svg" ` + attr + `>` + body + `</svg>`
	}
	const good = `version="1.2" baseProfile="tiny-ps" viewBox="0 0 64 64"`
	const title = `<title>mine</title>`
	for _, c := range []struct {
		name, in string
		want     []Fault
	}{
		{"good", svg(good, title+`<path d="M0 0"/>`), nil},
		{"no profile", svg(`version="1.2" viewBox="0 0 64 64"`, title), []Fault{NoProfile}},
		{"version", svg(`version="1.1" baseProfile="tiny-ps" viewBox="0 0 64 64"`, title), []Fault{BadVersion}},
		{"no title", svg(good, ``), []Fault{NoTitle}},
		{"script", svg(good, title+`<script>alert(1)</script>`), []Fault{Script}},
		{"handler", svg(good, title+`<path onclick="x"/>`), []Fault{Script}},
		{"animation", svg(good, title+`<animate/>`), []Fault{Animation}},
		{"bitmap", svg(good, title+`<image href="data:image/png;base64,AA"/>`), []Fault{Picture, External}},
		{"external", svg(good, title+`<use href="https://example.com/x.svg"/>`), []Fault{External}},
		{"wide", svg(`version="1.2" baseProfile="tiny-ps" viewBox="0 0 64 32"`, title), []Fault{NotSquare}},
		{"doctype", `<!DOCTYPE svg [<!ENTITY a "b">]>` + svg(good, title), []Fault{HasDoctype}},
		{"entity", svg(good, title+`&a;`), []Fault{BadXML}},
		{"html", `<html/>`, []Fault{NotSVG}},
		{"png", "\x89PNG\r\n", []Fault{BadXML, NotSVG}},
		{"large", svg(good, title+strings.Repeat(" ", MaxLogo)), []Fault{TooLarge}},
	} {
		var got []Fault
		for _, f := range CheckLogo([]byte(c.in)) {
			got = append(got, f.Fault)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestReadMarkOfNothing(t *testing.T) {
	if m := ReadMark([]byte("no certificate"), "example.com", time.Time{}); !slices.Equal(m.Faults, []CertFault{NoPEM}) {
		t.Error(m.Faults)
	}
}

func FuzzCheckLogo(f *testing.F) {
	f.Add([]byte(`<svg version="1.2" baseProfile="tiny-ps"><title/></svg>`))
	f.Fuzz(func(_ *testing.T, b []byte) { CheckLogo(b) })
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=BIMI1; l=https://x/; a=")
	f.Fuzz(func(_ *testing.T, s string) { ParseRecord(s).Declined() })
}

func FuzzReadMark(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { ReadMark(b, "example.com", time.Time{}) })
}
