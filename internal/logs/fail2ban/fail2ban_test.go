package fail2ban

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`2026-11-22 01:50:59,123 fail2ban.actions        [99]: NOTICE  [postfix-sasl] Ban 192.0.2.1`,
			`ban ip=192.0.2.1 verdict=ban action=postfix-sasl`},
		{`2026-11-22 01:50:59,123 fail2ban.filter         [99]: INFO    [dovecot] Found 192.0.2.1 - 2026-11-22 01:50:58`,
			`ban ip=192.0.2.1 verdict=found action=dovecot`},
		{`Nov 22 01:45:23 mx1 fail2ban.actions[99]: NOTICE [postfix] Unban 192.0.2.1`,
			`ban ip=192.0.2.1 verdict=unban action=postfix`},
		{`2014-11-22 01:50:59,123 fail2ban.actions: WARNING [sasl] Ban 192.0.2.1`,
			`ban ip=192.0.2.1 verdict=ban action=sasl`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "fail2ban",
		`NOTICE  [postfix-sasl] Ban 192.0.2.1`, `INFO    [dovecot] Found 192.0.2.1 - 2026-11-22 01:50:58`, `NOTICE [postfix] Unban 192.0.2.1`)
}
