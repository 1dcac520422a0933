package cyrus

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "cyrus/imaps",
		`login: h [192.0.2.1] li PLAIN+TLS User logged in SESSIONID=<x>`, `badlogin: h [192.0.2.9] PLAIN [SASL(-13): x]`, `Delivered: <m@b> to mailbox: user.li`)
}
