package clamav

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func TestLines(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`Nov 22 01:45:23 mx1 clamav-milter[12]: Message 4ABCDEF123 from <a@b.example> to <li@mine.example> with subject 'x infected by y' message-id '<m@b.example>' date 'Sun' infected by Eicar-Test`,
			`filter id=4ABCDEF123 mid=m@b.example from=a@b.example to=li@mine.example verdict=infected`},
		{`Nov 22 01:45:23 mx1 clamav-milter[12]: Clean message from <a@b.example> to <li@mine.example>`,
			`filter from=a@b.example to=li@mine.example verdict=clean`},
		{`Nov 22 01:45:23 mx1 clamav-milter[12]: +++ Started`,
			`stats`},
	})
}

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "clamav-milter",
		`Message 4ABCDEF123 from <a@b.example> to <li@mine.example> with subject 'x infected by y' message-id '<m@b.example>' date 'Sun' infected by Eicar-Test`, `Clean message from <a@b.example> to <li@mine.example>`, `+++ Started`)
}
