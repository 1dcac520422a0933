package tls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
)

// mustStaple tells a certificate that is to be believed with a stapled OCSP answer alone (RFC 7633).
func mustStaple(c *x509.Certificate) bool {
	feature := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
		var features []int
		_, err := asn1.Unmarshal(e.Value, &features)
		return e.Id.Equal(feature) && err == nil && slices.Contains(features, 5)
	})
}

var ruleStaple = &finding.Rule{
	ID: "tls.staple-missing", Severity: finding.Warning, Owner: finding.OwnerServer,
	Title: "certificate that demands a stapled answer, and none comes", Says: "the certificate demands a stapled OCSP answer (must-staple), and the server sends none",
	OK:     "the server staples the OCSP answer its certificate demands",
	Why:    "Programs that mind the demand refuse the certificate. Hardly any mail server can staple.",
	Repair: "Get a certificate without must-staple, or turn OCSP stapling on where the server can do it.",
	Refs:   []finding.Ref{finding.RFC(7633, "")},
}

// staple judges the demand for a stapled answer; most certificates make none.
func (f *Facts) staple(certs []*x509.Certificate) finding.Finding {
	switch {
	case len(certs) == 0 || !mustStaple(certs[0]):
		return finding.Finding{}
	case len(f.Handshake.Staple) > 0:
		return ruleStaple.Passed(f.Subject, nil)
	}
	return f.failed(ruleStaple, nil)
}

// moreSection tells the rest of a port: how it can be asked whether the certificate was revoked, ALPN, resumption.
func moreSection(h *wire.Handshake, e *wiretls.Extras) finding.Section {
	sec := finding.Section{Title: finding.S("revocation, ALPN, resumption", nil)}
	row := func(name, value finding.Sentence) { sec.Rows = append(sec.Rows, finding.Cells(name, value)) }
	if c := h.Leaf(); c != nil {
		none := finding.S("none named", nil)
		list := func(urls []string) finding.Sentence {
			if len(urls) == 0 {
				return none
			}
			return finding.Raw(strings.Join(urls[:min(len(urls), 3)], " "))
		}
		row(finding.S("OCSP", nil), list(c.OCSPServer))
		row(finding.S("revocation list", nil), list(c.CRLDistributionPoints))
		row(finding.S("stapled OCSP answer", nil), yesNo(len(h.Staple) > 0))
	}
	if e == nil || e.Fault != nil {
		return sec
	}
	row(finding.S("session resumption", nil), yesNo(e.Resumed))
	switch {
	case e.Offered == "":
	case e.ALPN != "":
		row(finding.S("ALPN", nil), finding.Raw(e.ALPN))
	case e.Refused:
		row(finding.S("ALPN", nil), finding.S("{{.Name}} is refused", finding.Args{"Name": e.Offered}))
	default:
		row(finding.S("ALPN", nil), finding.S("the offer ({{.Name}}) is ignored", finding.Args{"Name": e.Offered}))
	}
	return sec
}

func yesNo(b bool) finding.Sentence {
	if b {
		return finding.S("yes", nil)
	}
	return finding.S("no", nil)
}
