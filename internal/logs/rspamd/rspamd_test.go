package rspamd

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`2026-11-22 01:50:59 #12(normal) <a1b2c3>; task; rspamd_task_write_log: id: <m, qid: <X>@b.example>, qid: <4ABCDEF123>, ip: 192.0.2.1, from: <a@b.example>, (default: T (reject): [18.20/15.00] [BAYES_SPAM(5.1){100.0%;},R_SPF_FAIL(1.0){-all;}]), len: 1234, time: 100.1ms, dns req: 3, digest: <ff>, rcpts: <li@mine.example>,<b@c>, mime_rcpts: <li@mine.example>`,
			`filter mid=m, qid: <X from=a@b.example to=li@mine.example ip=192.0.2.1 verdict=reject score=18.2 size=1234`},
		{`Nov 22 01:45:23 mx1 rspamd[12]: <a1b2c3>; lua; settings.lua:1: x`,
			``},
		{`Nov 22 01:45:23 mx1 rspamd[12]: (main) cannot open file`,
			`warning`},
	})
}

func TestNoAllocation(t *testing.T) {
	logstest.NoAllocation(t, Dialect{}, `2026-11-22 01:50:59 #12(normal) <a1b2c3>; task; rspamd_task_write_log: id: <m@b.example>, qid: <4ABCDEF123>, ip: 192.0.2.1, from: <a@b.example>, (default: T (reject): [18.20/15.00] [BAYES_SPAM(5.1){100.0%;}]), len: 1234, time: 100.1ms, dns req: 3, digest: <ff>, rcpts: <li@mine.example>, mime_rcpts: <li@mine.example>`)
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "rspamd",
		`id: <m, qid: <X>@b.example>, qid: <4ABCDEF123>, ip: 192.0.2.1, from: <a@b.example>, (default: T (reject): [18.20/15.00] [BAYES_SPAM(5.1){100.0%;},R_SPF_FAIL(1.0){-all;}]), len: 1234, time: 100.1ms, dns req: 3, digest: <ff>, rcpts: <li@mine.example>,<b@c>, mime_rcpts: <li@mine.example>`, `<a1b2c3>; lua; settings.lua:1: x`, `(main) cannot open file`)
}
