package knowledge

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// ReverseNames are the marks of generic reverse names.
type ReverseNames struct {
	Checked toml.LocalDate `toml:"checked"`
	Words   []string       `toml:"words"`
	Mail    []string       `toml:"mail"`
}

// ReverseNames reads ptr.toml.
func (b *Base) ReverseNames() (*ReverseNames, error) { return load[ReverseNames](b, "ptr.toml") }

// Generic tells whether a reverse name looks given to a range rather than chosen for a mail server, and by what mark:
// the word, or the part of the address that it spells. name is lower case, without the trailing dot.
func (r *ReverseNames) Generic(name string, addr netip.Addr) (mark string, generic bool) {
	if mark := spells(name, addr); mark != "" {
		return mark, true
	}
	labels := strings.Split(name, ".")
	if len(labels) > 2 {
		labels = labels[:len(labels)-2] // the domain itself may be called anything
	}
	for _, w := range wordsOf(labels[0]) {
		if slices.Contains(r.Mail, w) {
			return "", false
		}
	}
	for _, l := range labels {
		for _, w := range wordsOf(l) {
			if slices.Contains(r.Words, w) {
				return w, true
			}
		}
	}
	return "", false
}

// wordsOf gives the letters of a label in runs.
func wordsOf(label string) []string {
	return strings.FieldsFunc(label, func(c rune) bool { return c == '-' || c == '_' || c >= '0' && c <= '9' })
}

// spells finds the address written in the name: the octets in order or reversed, parted by something or in threes, or
// in hexadecimal.
func spells(name string, addr netip.Addr) string {
	addr = addr.Unmap()
	if !addr.Is4() {
		return spells6(name, addr)
	}
	b := addr.As4()
	rev := [4]byte{b[3], b[2], b[1], b[0]}
	numbers := strings.FieldsFunc(name, func(c rune) bool { return c < '0' || c > '9' })
	for _, o := range [][4]byte{b, rev} {
		if run(numbers, o[:]) || run(numbers, o[:3]) || run(numbers, o[1:]) {
			return joined(o[:], "-")
		}
		var hex, dec strings.Builder
		for _, v := range o {
			hex.WriteString(pad(strconv.FormatUint(uint64(v), 16), 2))
			dec.WriteString(pad(strconv.Itoa(int(v)), 3))
		}
		for _, s := range []string{hex.String(), dec.String()} {
			if strings.Contains(name, s) {
				return s
			}
		}
	}
	return ""
}

func spells6(name string, addr netip.Addr) string {
	hex := strings.ReplaceAll(addr.StringExpanded(), ":", "")
	flat := strings.NewReplacer("-", "", ".", "", ":", "").Replace(name)
	if tail := hex[16:]; strings.Contains(flat, tail) && strings.Trim(tail, "0") != "" && len(strings.TrimLeft(tail, "0")) > 4 {
		return tail
	}
	return ""
}

// run tells whether the octets stand one after the other among the numbers of a name.
func run(numbers []string, octets []byte) bool {
	for i := 0; i+len(octets) <= len(numbers); i++ {
		ok := true
		for j, o := range octets {
			if n, err := strconv.Atoi(numbers[i+j]); err != nil || n != int(o) {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}

func joined(b []byte, sep string) string {
	var s []string
	for _, v := range b {
		s = append(s, strconv.Itoa(int(v)))
	}
	return strings.Join(s, sep)
}

func pad(s string, n int) string { return strings.Repeat("0", n-len(s)) + s }
