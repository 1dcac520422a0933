package proxmox

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

func FuzzParse(f *testing.F) {
	logstest.Fuzz(f, Dialect{}, "pmg-smtp-filter",
		`A1B2C3D4E5F60: accept mail to <b@c> (5ABCDEF12) (rule: x)`, `A1B2C3D4E5F60: moved mail for <b@c> to spam quarantine - X (rule: y)`)
}
