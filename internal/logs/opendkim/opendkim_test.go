package opendkim

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 opendkim[1]: 4ABCDEF123: DKIM-Signature field added (s=s2026, d=mine.example)`,
			`filter id=4ABCDEF123 verdict=signed`},
		{`Nov 22 01:45:23 mx1 opendkim[1]: 4ABCDEF123: bad signature data`,
			`filter id=4ABCDEF123 verdict=fail`},
		{`Nov 22 01:45:23 mx1 opendkim[1]: 4ABCDEF123: not authenticated`,
			`filter id=4ABCDEF123`},
		{`Nov 22 01:45:23 mx1 opendkim[1]: OpenDKIM Filter v2.11.0 starting (args: -x)`,
			`started`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "opendkim",
		`4ABCDEF123: DKIM-Signature field added (s=s2026, d=mine.example)`, `4ABCDEF123: bad signature data`, `4ABCDEF123: not authenticated`, `OpenDKIM Filter v2.11.0 starting (args: -x)`)
}
