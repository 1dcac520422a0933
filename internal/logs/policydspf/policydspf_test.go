package policydspf

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Aug 16 04:21:13 h policyd-spf[7]: : prepend Authentication-Results: mine.example; spf=pass (sender SPF authorized) smtp.mailfrom=b.example (client-ip=192.0.2.1; helo=m.example; envelope-from=a@b.example; receiver=mine.example)`,
			`policy from=a@b.example ip=192.0.2.1 verdict=pass`},
		{`Nov 22 01:45:23 mx1 policyd-spf[12]: prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=h.example; envelope-from=a@b.example; receiver=<UNKNOWN>`,
			`policy from=a@b.example ip=192.0.2.1 verdict=Pass`},
		{`Nov 22 01:45:23 mx1 policyd-spf[12]: 550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see http://x.example`,
			`policy code=550 dsn=5.7.23 verdict=fail action=reject`},
		{`Nov 22 01:45:23 mx1 policyd-spf[12]: Starting`,
			`stats`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "policyd-spf",
		`prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=h.example; envelope-from=a@b.example; receiver=<UNKNOWN>`, `550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see http://x.example`, `Starting`)
}
