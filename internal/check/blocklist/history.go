package blocklist

import (
	"context"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Spell is a time during which a list named a subject, as far as somebody looked.
type Spell struct {
	Subject string    `json:"-"`
	List    string    `json:"list"` // id
	Name    string    `json:"name"`
	First   time.Time `json:"first"`         // the look that found it listed
	Seen    time.Time `json:"seen"`          // the latest look that did
	Gone    time.Time `json:"gone,omitzero"` // the first look after that which did not; zero: none yet
}

// History remembers spells.
type History interface {
	// Spells gives those of a subject, the newest first.
	Spells(ctx context.Context, subject string) ([]Spell, error)
	// PutSpell keeps one; that of the same subject, list and beginning is replaced.
	PutSpell(ctx context.Context, s *Spell) error
}

// remember notes what was found, and gives each subject its history. A list that could not be tested changes nothing: it
// is not known whether it still names the subject.
func remember(ctx context.Context, h History, f *Facts, now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	for i := range f.Subjects {
		s := &f.Subjects[i]
		past, err := h.Spells(ctx, s.Name)
		if err != nil {
			return err
		}
		for j := range s.Entries {
			e := &s.Entries[j]
			open := openSpell(past, e.List)
			switch {
			case e.State == Listed && open == nil:
				open = &Spell{Subject: s.Name, List: e.List, Name: e.Name, First: now, Seen: now}
			case e.State == Listed:
				open.Seen = now
			case (e.State == Clean || e.State == Good) && open != nil:
				open.Gone = now
			default:
				continue
			}
			if err := h.PutSpell(ctx, open); err != nil {
				return err
			}
		}
		if s.History, err = h.Spells(ctx, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func openSpell(past []Spell, list string) *Spell {
	for i := range past {
		if past[i].List == list && past[i].Gone.IsZero() {
			return &past[i]
		}
	}
	return nil
}

// maxHistory bounds what a report shows of the past of one subject.
const maxHistory = 50

// pastSections show when which list named a subject.
func pastSections(f *Facts) (out []finding.Section) {
	for i := range f.Subjects {
		s := &f.Subjects[i]
		if len(s.History) == 0 {
			continue
		}
		t := finding.Section{
			Title:   finding.S("History of {{.Subject}}, as far as we looked", finding.Args{"Subject": s.Name}),
			Columns: []finding.Sentence{finding.S("list", nil), finding.S("first seen listed", nil), finding.S("last seen listed", nil), finding.S("seen delisted", nil)},
		}
		for _, x := range s.History[:min(len(s.History), maxHistory)] {
			gone, v := finding.S("not yet", nil), finding.VerdictWarning
			if !x.Gone.IsZero() {
				gone, v = when(x.Gone), finding.VerdictPass
			}
			t.Rows = append(t.Rows, finding.Marked(v, finding.Raw(x.Name), when(x.First), when(x.Seen), gone))
		}
		out = append(out, t)
	}
	return out
}

func when(t time.Time) finding.Sentence { return finding.S("{{.At}}", finding.Args{"At": t}) }
