package finding

import (
	"cmp"
	"slices"
)

// Order sorts findings for reading: root causes first, then by verdict, and what a cause explains directly under it
// (Finding.Causes names the causes; a survey may have named some before). A finding that could not be tested is never hidden by a cause. The order is
// stable, so equal findings keep the order of their checks.
func Order(fs []Finding) {
	for i := range fs {
		for _, id := range causesOf(&fs[i], fs) {
			if !slices.Contains(fs[i].Causes, id) {
				fs[i].Causes = append(fs[i].Causes, id)
			}
		}
	}
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Verdict(), b.Verdict()), cmp.Compare(len(a.Causes), len(b.Causes)))
	})
	lift(fs)
}

// causesOf lists the rules in After that failed on the same subject.
func causesOf(f *Finding, all []Finding) []string {
	if f.Outcome == Pass || f.Outcome == NotApplicable {
		return nil
	}
	var out []string
	for _, id := range f.Rule.After {
		for i := range all {
			g := &all[i]
			if g.Rule.ID == id && g.Outcome == Fail && g.Subject == f.Subject && g.Level() > Note {
				out = append(out, id)
				break
			}
		}
	}
	return out
}

// lift moves each cause before the first finding it explains, whatever its own verdict.
func lift(fs []Finding) {
	for i := 0; i < len(fs); i++ {
		for _, id := range fs[i].Causes {
			for j := i + 1; j < len(fs); j++ {
				if fs[j].Rule.ID == id && fs[j].Subject == fs[i].Subject && fs[j].Outcome == Fail {
					c := fs[j]
					copy(fs[i+1:j+1], fs[i:j])
					fs[i] = c
					break
				}
			}
		}
	}
}
