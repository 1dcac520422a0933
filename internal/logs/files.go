package logs

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Places are where mail software usually writes, as globs.
var Places = []string{
	"/var/log/mail.log*", "/var/log/maillog*", "/var/log/mail/*.log*", "/var/log/mail.info*", "/var/log/exim4/mainlog*", "/var/log/exim4/rejectlog*",
	"/var/log/exim/main.log*", "/var/log/exim_mainlog*", "/var/log/dovecot.log*", "/var/log/dovecot-info.log*", "/var/log/rspamd/rspamd.log*",
	"/var/log/fail2ban.log*", "/var/log/haraka*.log", "/var/log/postfix.log*",
}

// Expand turns arguments into names of files: globs are resolved, and each rotated set is put in order of age, the
// oldest first, also where the shell resolved the glob; sets stay in the order of the arguments. A name that matches nothing is an error that names it; the others go on.
func Expand(args []string) (names []string, errs []error) {
	seen := map[string]bool{}
	for _, arg := range args {
		found := []string{arg}
		if strings.ContainsAny(arg, "*?[") {
			m, err := filepath.Glob(arg)
			if err == nil && len(m) == 0 {
				err = fs.ErrNotExist
			}
			if err != nil {
				errs = append(errs, &fs.PathError{Op: "open", Path: arg, Err: err})
				continue
			}
			found = slices.DeleteFunc(m, func(n string) bool { return strings.HasSuffix(n, ".journal") })
		}
		for _, n := range found {
			if !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	byAge(names)
	return names, errs
}

// byAge orders the files of each rotated set: "mail.log.3.gz" before "mail.log.1" before "mail.log",
// "mail.log-20261101" before "mail.log-20261108" before "mail.log".
func byAge(names []string) {
	first := map[string]int{}
	for i, n := range names {
		if set, _ := rotation(n); first[set] == 0 {
			first[set] = i + 1
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		sa, ra := rotation(a)
		sb, rb := rotation(b)
		return cmp.Or(cmp.Compare(first[sa], first[sb]), cmp.Compare(ra, rb))
	})
}

// rotation splits a name into its set and a rank that grows towards the present.
func rotation(name string) (set string, rank int) {
	for _, z := range [...]string{".gz", ".xz", ".zst", ".bz2"} {
		name = strings.TrimSuffix(name, z)
	}
	i := strings.LastIndexAny(name, ".-")
	if i < 0 {
		return name, 1 << 40
	}
	n, err := strconv.Atoi(name[i+1:])
	switch {
	case err != nil:
		return name, 1 << 40
	case n > 1e7: // a date
		return name[:i], n
	}
	return name[:i], 1e6 - n
}

// Missing tells an error about a file that is not there from other trouble.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
