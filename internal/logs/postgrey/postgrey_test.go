package postgrey

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 postgrey[12]: action=greylist, reason=new, client_name=h.example, client_address=192.0.2.1, sender=a@b.example, recipient=li@mine.example`,
			`policy from=a@b.example to=li@mine.example ip=192.0.2.1 verdict=greylist`},
		{`Nov 22 01:45:23 mx1 postgrey[12]: action=pass, reason=triplet found, delay=301, client_name=h.example, client_address=192.0.2.1, sender=a@b.example, recipient=li@mine.example`,
			`policy from=a@b.example to=li@mine.example ip=192.0.2.1 verdict=pass delay=5m1s`},
		{`Nov 22 01:45:23 mx1 postgrey[12]: cleaning up old logs...`,
			`stats`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "postgrey",
		`action=greylist, reason=new, client_name=h.example, client_address=192.0.2.1, sender=a@b.example, recipient=li@mine.example`, `action=pass, reason=triplet found, delay=301, client_name=h.example, client_address=192.0.2.1, sender=a@b.example, recipient=li@mine.example`, `cleaning up old logs...`)
}
