package logs

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
)

// inner reads a line that stood in another one; the outer time counts where it has none of its own.
func inner(c *Clock, text []byte, o *event.Origin) bool {
	outer := *o
	*o = event.Origin{Source: outer.Source, Offset: outer.Offset}
	ok := Prefix(c, text, o)
	if o.Line = outer.Line; !o.TimeSet {
		o.At, o.Zone, o.ZoneSet, o.TimeSet = outer.At, outer.Zone, outer.ZoneSet, outer.TimeSet
	}
	return ok
}

// composed gives what stands behind the name that docker compose puts in front of each line ("postfix-1  | "), with and
// without colours; nil for other lines.
func composed(b []byte) []byte {
	coloured := b[0] == 0x1b
	b = uncoloured(b)
	i := bytes.IndexByte(b[:min(len(b), 80)], '|')
	if i < 2 || b[i-1] != ' ' || bytes.IndexByte(bytes.TrimRight(b[:i], " "), ' ') >= 0 {
		return nil
	}
	b = b[i+1:]
	if coloured {
		b = uncoloured(b)
	}
	if len(b) < 2 || b[0] != ' ' {
		return nil
	}
	return b[1:]
}

// uncoloured takes a terminal's colour sequence off the front.
func uncoloured(b []byte) []byte {
	if len(b) > 2 && b[0] == 0x1b && b[1] == '[' {
		for i := 2; i < len(b) && i < 16; i++ {
			if b[i] == 'm' {
				return b[i+1:]
			}
		}
	}
	return b
}

// criText gives what stands behind "stdout F " in the files of a Kubernetes node, nil for other lines.
func criText(b []byte) []byte {
	if len(b) > 9 && (Has(b, "stdout ") || Has(b, "stderr ")) && (b[7] == 'F' || b[7] == 'P') && b[8] == ' ' {
		return b[9:]
	}
	return nil
}

// odderTag reads what follows the host where it is no tag: BusyBox puts facility and level there ("mail.info"), and a relay
// leaves the whole prefix of the machine it had the line from.
func odderTag(b []byte, o *event.Origin) bool {
	if len(b) > 20 && month(b) != 0 && b[3] == ' ' && b[9] == ':' && b[12] == ':' && b[15] == ' ' {
		rest := b[16:]
		if i := bytes.IndexByte(rest, ' '); i > 0 && month(rest) == 0 {
			o.Host = rest[:i]
			return tag(rest[i+1:], o)
		}
		return false
	}
	i := bytes.IndexByte(b[:min(len(b), 20)], ' ')
	if i < 0 {
		return false
	}
	facility, level, ok := Cut(b[:i], ".")
	if !ok || len(level) < 3 {
		return false
	}
	switch string(facility) {
	case "mail", "daemon", "auth", "authpriv", "user", "syslog", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7":
		return tag(b[i+1:], o)
	}
	return false
}
