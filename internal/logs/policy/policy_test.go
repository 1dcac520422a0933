package policy

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "iredapd",
		`[192.0.2.1] RCPT, a@b -> c@d, DUNNO [sasl_username=, x=y]`, `addr h[192.0.2.1] from <a> to <b> delayed for 1`, `rule=1, client=h[1], sender=<a>`)
}
