package rdap

import (
	"net/netip"
	"strings"
	"testing"
)

const network = `{"objectClassName":"ip network","handle":"MINE-1","startAddress":"11.0.0.0","endAddress":"11.0.0.255","name":"MINE-NET","type":"ASSIGNED PA","country":"DE","port43":"whois.isp.example",
"events":[{"eventAction":"registration","eventDate":"2015-03-01T10:00:00Z"},{"eventAction":"last changed","eventDate":"2020-01-01T00:00:00Z"},{"eventAction":"expiration","eventDate":"nonsense"}],
"entities":[
 {"handle":"ORG-1","roles":["registrant"],"vcardArray":["vcard",[["version",{},"text","4.0"],["fn",{},"text","Mine GmbH"],["adr",{},"text",["","","Street","","","",""]]]],
  "entities":[{"handle":"AB-1","roles":["abuse","technical"],"vcardArray":["vcard",[["fn",{},"text","Abuse desk"],["email",{"type":"abuse"},"text","abuse@mine.example"]]]}]},
 {"handle":"X","roles":["abuse"],"vcardArray":"nonsense"}]}`

func TestParse(t *testing.T) {
	o, err := Parse([]byte(network))
	if err != nil {
		t.Fatal(err)
	}
	if o.Class != "ip network" || o.Name != "MINE-NET" || o.Holder != "Mine GmbH" || o.Country != "DE" || len(o.Abuse) != 1 || o.Abuse[0] != "abuse@mine.example" || o.Created.Year() != 2015 || !o.Expires.IsZero() || o.WHOIS != "whois.isp.example" {
		t.Errorf("%+v", o)
	}
	d, err := Parse([]byte(`{"objectClassName":"domain","ldhName":"mine.example","status":["client hold"],"events":[{"eventAction":"expiration","eventDate":"2027-01-01T00:00:00Z"}],"entities":[{"roles":["registrar"],"handle":"99","vcardArray":["vcard",[["fn",{},"text",""],["org",{},"text","Registrar Ltd."]]]}]}`))
	if err != nil || d.Name != "mine.example" || d.Registrar != "Registrar Ltd." || d.Status[0] != "client hold" || d.Expires.Year() != 2027 {
		t.Errorf("%+v %v", d, err)
	}
	for _, bad := range []string{"", "[]", "<html>", `{"errorCode":404,"title":"Not Found"}`, `{"name":"x"}`} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%q was taken for an answer", bad)
		}
	}
}

func TestURLs(t *testing.T) {
	if u := IPURL("http://127.0.0.1:8080", netip.MustParseAddr("2001:db8::1")); u != "http://127.0.0.1:8080/ip/2001:db8::1" {
		t.Error(u)
	}
	if u := DomainURL("https://rdap.example/v1/", "a/b"); u != "https://rdap.example/v1/domain/a%2Fb" {
		t.Error(u)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(network)
	f.Add(`{"objectClassName":"domain","entities":` + strings.Repeat(`[{"entities":`, 50) + `[]` + strings.Repeat(`}]`, 50) + `}`)
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := Parse([]byte(s)); err == nil && (len(o.Abuse) > maxMany || len(o.Name) > maxText || len(o.Status) > maxMany) {
			t.Fatalf("%q: %+v", s, o)
		}
	})
}
