package tls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

func TestMustStaple(t *testing.T) {
	demand := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}}}
	broken := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 9}}}}
	for _, c := range []struct {
		cert   *x509.Certificate
		staple []byte
		want   *finding.Rule
		out    finding.Outcome
	}{{demand, nil, ruleStaple, finding.Fail}, {demand, []byte{1}, ruleStaple, finding.Pass}, {&x509.Certificate{}, nil, nil, 0}, {broken, nil, nil, 0}} {
		f := Facts{Handshake: &wire.Handshake{Staple: c.staple}}
		if got := f.staple([]*x509.Certificate{c.cert}); got.Rule != c.want || got.Outcome != c.out {
			t.Errorf("%+v", got)
		}
	}
}
