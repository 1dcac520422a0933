package system

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "kernel",
		`Out of memory: Killed process 12 (clamd)`, `XFS (sda1): error`)
}
