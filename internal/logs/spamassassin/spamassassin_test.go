package spamassassin

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 spamd[12]: spamd: result: Y 15 - BAYES_99,URIBL scantime=0.5,size=1234,user=li,uid=1,required_score=5.0,rhost=::1,raddr=::1,rport=1,mid=<a,size=9@b.example>,bayes=1.0,autolearn=no`,
			`filter mid=a,size=9@b.example user=li verdict=spam score=15 size=1234`},
		{`Nov 22 01:45:23 mx1 spamd[12]: spamd: clean message (-0.1/5.0) for li:1 in 0.5 seconds, 123 bytes.`,
			`filter user=li verdict=ham score=-0.1`},
		{`Nov 22 01:45:23 mx1 spamd[12]: spamd: processing message <a@b.example> for li:1`,
			`filter mid=a@b.example`},
		{`Nov 22 01:45:23 mx1 spamd[12]: prefork: child states: II`,
			`stats`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "spamd",
		`spamd: result: Y 15 - BAYES_99,URIBL scantime=0.5,size=1234,user=li,uid=1,required_score=5.0,rhost=::1,raddr=::1,rport=1,mid=<a,size=9@b.example>,bayes=1.0,autolearn=no`, `spamd: clean message (-0.1/5.0) for li:1 in 0.5 seconds, 123 bytes.`, `spamd: processing message <a@b.example> for li:1`, `prefork: child states: II`)
}
