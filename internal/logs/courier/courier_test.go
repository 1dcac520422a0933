package courier

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "imapd",
		`LOGIN, user=li, ip=[::ffff:192.0.2.1], port=[4711], protocol=IMAP`, `id=0001,from=<a>,addr=<b>,status: deferred`)
}
