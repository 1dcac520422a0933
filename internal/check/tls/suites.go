package tls

import (
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
)

// weakness is a reason against suites whose name holds the word.
type weakness struct {
	word string
	why  finding.Msg
}

var broken = []weakness{
	{"_NULL_", finding.M("no encryption")},
	{"_anon_", finding.M("anonymous: no certificate")},
	{"_EXPORT_", finding.M("export grade")},
	{"_RC4_", finding.M("RC4")},
	{"_RC2_", finding.M("RC2")},
	{"_DES_CBC", finding.M("single DES")},
	{"_DES40_", finding.M("single DES")},
	{"_MD5", finding.M("MD5")},
}

var ageing = []weakness{
	{"_3DES_", finding.M("3DES")},
	{"_IDEA_", finding.M("IDEA")},
	{"_SEED_", finding.M("SEED")},
	{"TLS_RSA_WITH", finding.M("no forward secrecy")},
	{"TLS_ECDH_", finding.M("no forward secrecy")},
	{"_CBC_", finding.M("CBC mode")},
}

func matches(s wiretls.Suite, list []weakness) (why []finding.Msg) {
	name := s.String()
	for _, w := range list {
		if strings.Contains(name, w.word) && !slices.Contains(why, w.why) {
			why = append(why, w.why)
		}
	}
	return why
}

// Broken lists the suites of a version that nobody should accept.
func Broken(v wiretls.Version) []wiretls.Suite {
	return slices.DeleteFunc(wiretls.Suites(v), func(s wiretls.Suite) bool { return len(matches(s, broken)) == 0 })
}

// versions judges protocol versions from the inventory, or from the two hellos.
func (f *Facts) versions() []finding.Finding {
	best, old, ssl, sure := f.seenVersions()
	var fs []finding.Finding
	if best != 0 {
		args := finding.Args{"Version": best.String()}
		switch {
		case best < wiretls.TLS12:
			fs = append(fs, f.failed(ruleOnlyOld, args))
		case best < wiretls.TLS13:
			fs = append(fs, ruleOnlyOld.Passed(f.Subject, args), f.failed(ruleNo13, nil))
		default:
			fs = append(fs, ruleOnlyOld.Passed(f.Subject, args), ruleNo13.Passed(f.Subject, nil))
		}
	}
	switch {
	case len(old) > 0:
		fs = append(fs, f.failed(ruleOldVersion, finding.Args{"Versions": old}))
	case sure:
		fs = append(fs, ruleOldVersion.Passed(f.Subject, nil))
	}
	switch {
	case ssl:
		fs = append(fs, f.failed(ruleSSL, nil))
	case sure:
		fs = append(fs, ruleSSL.Passed(f.Subject, nil))
	}
	return fs
}

// seenVersions tells the best version, the outdated ones accepted, SSL 3.0, and whether the absence of the latter is
// known.
func (f *Facts) seenVersions() (best wiretls.Version, old []string, ssl, sure bool) {
	if f.Handshake.Fault == nil {
		_ = best.UnmarshalText([]byte(f.Handshake.Version)) // an unknown version stays 0
	}
	if inv := f.Inventory; inv != nil {
		sure = true
		for _, v := range inv.Versions {
			sure = sure && v.Fault == nil
			if !v.Supported {
				continue
			}
			best = max(best, v.Version)
			if v.Version < wiretls.TLS12 && v.Version > wiretls.SSL30 {
				old = append(old, v.Version.String())
			}
			ssl = ssl || v.Version == wiretls.SSL30
		}
		return best, old, ssl, sure
	}
	took := func(a *wiretls.Answer) (wiretls.Version, bool) {
		if a == nil || a.Hello == nil {
			return 0, a != nil && a.Refused()
		}
		return a.Hello.Version, true
	}
	v, sure1 := took(f.Old)
	if v == wiretls.TLS10 || v == wiretls.TLS11 {
		old = []string{v.String()}
	}
	s, sure2 := took(f.SSL3)
	return best, old, s == wiretls.SSL30, sure1 && sure2
}

// suites judges cipher suites.
func (f *Facts) suites() []finding.Finding {
	seen, sure := f.seenSuites()
	var bad []string
	var badWhy, oldWhy []finding.Sentence
	nOld := 0
	for _, s := range seen {
		if why := matches(s, broken); len(why) > 0 {
			bad = append(bad, s.String())
			badWhy = appendNew(badWhy, why)
		} else if why := matches(s, ageing); len(why) > 0 {
			nOld++
			oldWhy = appendNew(oldWhy, why)
		}
	}
	var fs []finding.Finding
	switch {
	case len(bad) > 0:
		n := len(bad)
		fs = append(fs, f.failed(ruleWeakSuite, finding.Args{"N": n, "Suites": bad[:min(n, 4)], "Reasons": badWhy}))
	case sure:
		fs = append(fs, ruleWeakSuite.Passed(f.Subject, nil))
	}
	switch {
	case f.Inventory == nil:
	case nOld > 0:
		fs = append(fs, f.failed(ruleOldSuite, finding.Args{"N": nOld, "Reasons": oldWhy}))
	case sure:
		fs = append(fs, ruleOldSuite.Passed(f.Subject, nil))
	}
	return fs
}

func appendNew(list []finding.Sentence, why []finding.Msg) []finding.Sentence {
	for _, w := range why {
		if !slices.ContainsFunc(list, func(s finding.Sentence) bool { return s.Msg == w }) {
			list = append(list, finding.Sentence{Msg: w})
		}
	}
	return list
}

func (f *Facts) seenSuites() (seen []wiretls.Suite, sure bool) {
	if f.Inventory != nil {
		sure = true
		for _, v := range f.Inventory.Versions {
			sure = sure && v.Fault == nil
			for _, s := range v.Suites {
				if !slices.Contains(seen, s.Suite) {
					seen = append(seen, s.Suite)
				}
			}
		}
		return seen, sure
	}
	switch {
	case f.Weak == nil:
		return nil, false
	case f.Weak.Hello != nil:
		return []wiretls.Suite{f.Weak.Hello.Suite}, true
	}
	return nil, f.Weak.Refused()
}

// exchange judges the key exchange.
func (f *Facts) exchange(th *knowledge.Thresholds) []finding.Finding {
	var fs []finding.Finding
	if inv := f.Inventory; inv != nil {
		least := 0
		for _, v := range inv.Versions {
			for _, s := range v.Suites {
				if s.DHBits > 0 && (least == 0 || s.DHBits < least) {
					least = s.DHBits
				}
			}
		}
		args := finding.Args{"Bits": least, "Min": th.TLS.MinDHBits}
		switch {
		case least > 0 && least < th.TLS.MinDHBits:
			fs = append(fs, f.failed(ruleDH, args))
		case least > 0:
			fs = append(fs, ruleDH.Passed(f.Subject, args))
		}
	}
	if h := f.Handshake; h.Fault == nil {
		args := finding.Args{"Group": group(h)}
		if h.PostQuantum() {
			fs = append(fs, rulePQ.Passed(f.Subject, args))
		} else {
			fs = append(fs, f.failed(rulePQ, args))
		}
	}
	return fs
}

func group(h *wire.Handshake) string {
	if h.Group == "" {
		return "RSA"
	}
	return h.Group
}
