package local

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

func sections(f *Facts) []finding.Section {
	var out []finding.Section
	if len(f.Listeners) > 0 {
		s := finding.Section{Title: finding.S("who listens", nil), Columns: heads("port", "address", "program", "process")}
		for _, l := range f.Listeners {
			pid := ""
			if l.PID > 0 {
				pid = strconv.Itoa(l.PID)
			}
			s.Rows = append(s.Rows, cells(strconv.Itoa(int(l.Addr.Port())), l.Addr.Addr().String(), program(l), pid))
		}
		out = append(out, s)
	}
	if len(f.Software)+len(f.Services) > 0 {
		s := finding.Section{Title: finding.S("software", nil)}
		for _, w := range f.Software {
			s.Rows = append(s.Rows, cells(w.Product, w.Version, w.Source))
		}
		for _, u := range f.Services {
			s.Rows = append(s.Rows, cells(u.Unit, strings.Trim(u.Active+" "+u.Sub, " "), u.Enabled))
		}
		out = append(out, s)
	}
	if len(f.Disks) > 0 {
		s := finding.Section{Title: finding.S("space", nil), Columns: heads("path", "free", "of", "inodes free")}
		for _, d := range f.Disks {
			inodes := ""
			if d.Inodes > 0 {
				inodes = fmt.Sprintf("%d %%", percent(d.InodesFree, d.Inodes))
			}
			s.Rows = append(s.Rows, cells(d.Path, fmt.Sprintf("%s (%d %%)", size(d.Free), percent(d.Free, d.Total)), size(d.Total), inodes))
		}
		out = append(out, s)
	}
	if len(f.Firewall) > 0 {
		s := finding.Section{Title: finding.S("packet filter", nil)}
		for _, r := range f.Firewall {
			s.Rows = append(s.Rows, cells(r.Where, r.Text))
		}
		out = append(out, s)
	}
	s := finding.Section{Title: finding.S("where it was read", nil), Folded: true}
	for _, c := range f.Commands {
		s.Rows = append(s.Rows, cells(c))
	}
	return append(out, s)
}

func heads(names ...string) (out []finding.Sentence) {
	words := map[string]finding.Sentence{"port": finding.S("port", nil), "address": finding.S("address", nil), "program": finding.S("program", nil), "process": finding.S("process", nil),
		"path": finding.S("path", nil), "free": finding.S("free", nil), "of": finding.S("in all", nil), "inodes free": finding.S("inodes free", nil)}
	for _, n := range names {
		out = append(out, words[n])
	}
	return out
}

func cells(values ...string) finding.Row {
	var out []finding.Sentence
	for _, v := range values {
		out = append(out, finding.Raw(v))
	}
	return finding.Cells(out...)
}
