package arf

import "testing"

func TestParse(t *testing.T) {
	r, err := Parse([]byte("Feedback-Type: auth-failure\r\nUser-Agent: Lua/1.0\r\nVersion: 1\r\nAuth-Failure: dmarc\r\nSource-IP: [192.0.2.9]\r\n" +
		"Original-Mail-From: <a@example.com>\r\nReported-Domain: Example.com\r\nArrival-Date: Tue, 30 Apr 2019 02:09:00 +0000 (UTC)\r\nX-Long: one\r\n two\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Type != "auth-failure" || r.Failure != "dmarc" || r.SourceIP.String() != "192.0.2.9" || r.MailFrom != "a@example.com" ||
		r.Domains[0] != "example.com" || r.Arrival.Unix() != 1556590140 || r.Fields[len(r.Fields)-1].Value != "one two" {
		t.Errorf("%+v", r)
	}
	if _, err := Parse([]byte("hello\n")); err != ErrNotReport {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Feedback-Type: abuse\n x\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { Parse(b) })
}
