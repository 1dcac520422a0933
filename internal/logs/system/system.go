// Package system reads what the kernel and the service manager say about the programs that carry mail: killed for want of
// memory, crashed, failed to start, a full or broken disk.
//
// Promise: only lines that name such a program, or the disk, are taken; all others are foreign. It judges nothing.
package system

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the dialect of the machine itself.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.System }

// Mine tells the kernel and systemd.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "kernel" || string(program) == "systemd" || string(program) == "earlyoom" || string(program) == "systemd-oomd"
}

// Words that stand in lines about trouble.
var (
	kernelWords = [...]string{"ut of memory: Kill", "oom-kill:", "segfault at ", "general protection fault", "killed process ", "Killed process "}
	diskWords   = [...]string{"I/O error, dev ", "EXT4-fs error", "XFS (", "Remounting filesystem read-only", "BTRFS error", "No space left on device"}
	unitWords   = [...]string{"Main process exited", "Failed with result", "Failed to start ", "A process of this unit has been killed by the OOM killer", "Start request repeated too quickly"}
)

// names are programs and units that carry mail, as they stand in such lines.
var names = [...]string{"postfix", "exim", "dovecot", "sendmail", "rspamd", "clamd", "clamav", "amavis", "spamd", "spamassassin", "opendkim", "opendmarc", "postgrey", "policyd", "opensmtpd", "smtpd",
	"(master)", "(qmgr)", "(cleanup)", "(imap)", "(lmtp)", "cyrus", "haraka", "qmail", "redis"}

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	unit := logs.Has(e.Program, "systemd")
	if !(holds(b, diskWords[:]) && !unit && !bytes.Contains(b, []byte("mounting V"))) && !((holds(b, kernelWords[:]) || holds(b, unitWords[:])) && holds(b, names[:])) {
		return logs.Foreign
	}
	e.Kind, e.Level, e.Text = event.Trouble, event.Warn, b
	if bytes.Contains(b, []byte("XFS (")) && !bytes.Contains(b, []byte("error")) && !bytes.Contains(b, []byte("orruption")) {
		return logs.Foreign
	}
	sink.Event(e)
	return logs.Known
}

func holds(b []byte, words []string) bool {
	for _, w := range words {
		if bytes.Contains(b, []byte(w)) {
			return true
		}
	}
	return false
}
