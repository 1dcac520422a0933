package haraka

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`2026-07-23 18:23:59.327369500  [NOTICE] [6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11] [core] disconnect ip=192.0.2.1 rdns=NXDOMAIN helo="" relay=N txns=0 lr="550 no" time=0.071`,
			`disconnect session=6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11 ip=192.0.2.1`},
		{`Nov  4 13:35:35 mx haraka[1]: [NOTICE] [6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11.1.1] [outbound] delivered file=1_2_3 domain="partner.example" host=mx.partner.example ip=192.0.2.9 port=25 mode=SMTP tls=Y auth=N response="2.0.0 Ok: queued as 4ABCDEF123" delay=0.9 fails=0 rcpts=1/0/0`,
			`delivery id=6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11.1 next=4ABCDEF123 session=6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11 to=partner.example status=sent relay=mx.partner.example delay=900ms`},
		{`2026-11-04T13:35:35.000Z [INFO] [6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11.1] [core] hook=data plugin=karma function=hook_data params="" retval=DENY msg="no thanks"`,
			`reject id=6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11.1 session=6E1D0A52-1B7C-4C19-9F60-7A54AE3D9C11`},
		{`2026-11-22T01:45:23.123Z [NOTICE] [3A5F2B1C-1234-4F5A-9B8C-0123456789AB] [core] connect ip=192.0.2.1 port=4711 local_ip=:: local_port=25`,
			`connect session=3A5F2B1C-1234-4F5A-9B8C-0123456789AB ip=192.0.2.1`},
		{`2026-11-22T01:45:23.123Z [NOTICE] [3A5F2B1C-1234-4F5A-9B8C-0123456789AB.1] [core] message mid=<m@b.example> size=1234 rcpts=1/0/0 delay=0.1 code=CONT msg=""`,
			`received id=3A5F2B1C-1234-4F5A-9B8C-0123456789AB.1 session=3A5F2B1C-1234-4F5A-9B8C-0123456789AB mid=m@b.example size=1234 delay=100ms`},
		{`[NOTICE] [3A5F2B1C-1234-4F5A-9B8C-0123456789AB.1.1] [outbound] delivered file=x domain=partner.example host=mx.partner.example ip=192.0.2.9 port=25 mode=SMTP tls=Y auth=N response="250 2.0.0 Ok: queued as 4ABCDEF123" delay=0.5 fails=0 rcpts=1/0/0`,
			`delivery id=3A5F2B1C-1234-4F5A-9B8C-0123456789AB.1 next=4ABCDEF123 session=3A5F2B1C-1234-4F5A-9B8C-0123456789AB to=partner.example status=sent code=250 dsn=2.0.0 relay=mx.partner.example delay=500ms`},
		{`Feb 17 21:53:28 mx haraka[48106]: [NOTICE] [930E3B02-4254-4499-8294-70044A00835D.1.1] [outbound] recipient <wang@partner.example> rejected: 550 5.7.1 no`,
			`delivery id=930E3B02-4254-4499-8294-70044A00835D.1 session=930E3B02-4254-4499-8294-70044A00835D to=wang@partner.example status=bounced code=550 dsn=5.7.1`},
		{`Feb 17 21:53:28 mx haraka[48106]: [INFO] [930E3B02-4254-4499-8294-70044A00835D.1.1] [outbound] Temp failing 1_2_3_x for 1024 seconds: Tried all MXs`,
			`delivery id=930E3B02-4254-4499-8294-70044A00835D.1 session=930E3B02-4254-4499-8294-70044A00835D status=deferred`},
		{`Feb 17 21:53:28 mx haraka[48106]: [NOTICE] [930E3B02-4254-4499-8294-70044A00835D.1] [core] recipient <wang@partner.example> code=OK msg="" sender="li@mine.example"`,
			`related id=930E3B02-4254-4499-8294-70044A00835D.1 session=930E3B02-4254-4499-8294-70044A00835D to=wang@partner.example`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "haraka",
		`local_port=25`, `2026-11-22T01:45:23.123Z [NOTICE] [3A5F2B1C-1234-4F5A-9B8C-0123456789AB.1] [core] message mid=<m@b.example> size=1234 rcpts=1/0/0 delay=0.1 code=CONT msg=""`, `queued as 4ABCDEF123" delay=0.5 fails=0 rcpts=1/0/0`)
}
