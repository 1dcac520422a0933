package opendmarc

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 opendmarc[1]: 4ABCDEF123: partner.example pass`,
			`filter id=4ABCDEF123 verdict=pass`},
		{`Nov 22 01:45:23 mx1 opendmarc[1]: 4ABCDEF123: SPF(mailfrom): a@partner.example fail`,
			`filter id=4ABCDEF123 verdict=fail`},
		{`Nov 22 01:45:23 mx1 opendmarc[1]: 4ABCDEF123 ignoring Authentication-Results at 1 from mx`,
			`filter id=4ABCDEF123`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "opendmarc",
		`4ABCDEF123: partner.example pass`, `4ABCDEF123: SPF(mailfrom): a@partner.example fail`, `4ABCDEF123 ignoring Authentication-Results at 1 from mx`)
}
