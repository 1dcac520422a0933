package intake

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/mailbox"
)

// reportsBox polls a mailbox for DMARC and TLS reports. Messages stay unread. One goroutine.
type reportsBox struct {
	*source
	c     *Config
	place *mailbox.Place
	every time.Duration
}

func newReportsBox(in *Intake, c *Config) (*reportsBox, error) {
	if in.reports == nil {
		return nil, errors.New("this store keeps no reports")
	}
	if in.o.Dial == nil {
		return nil, errors.New("a mailbox needs a network")
	}
	place, err := mailbox.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	every, err := c.every()
	if err != nil {
		return nil, err
	}
	return &reportsBox{in.newSource("mailbox", place.String(), ""), c, place, every}, nil
}

func (r *reportsBox) run(ctx context.Context) error {
	defer r.leave()
	for {
		if err := r.poll(ctx); err != nil && ctx.Err() == nil {
			r.trouble(finding.S("mailbox {{.URL}}: {{.Error}}", finding.Args{"URL": r.place.String(), "Error": finding.Raw(err.Error())}))
		} else {
			r.trouble(finding.Sentence{})
		}
		if err := wire.Pause(ctx, r.every); err != nil {
			return err
		}
	}
}

// maxPassword bounds what is read of a password file, in bytes.
const maxPassword = 4 << 10

// poll reads what came since the last time. The password file is read each time: it may have been changed.
func (r *reportsBox) poll(ctx context.Context) error {
	password, err := os.ReadFile(r.c.PasswordFile)
	if err != nil {
		return err
	}
	password = bytes.TrimRight(password[:min(len(password), maxPassword)], "\r\n")
	mark, err := r.in.reports.Mark(ctx, r.name)
	if err != nil {
		return err
	}
	o := mailbox.Options{Dial: r.in.o.Dial, Roots: r.in.o.Roots, Password: string(password)}
	return mailbox.Since(ctx, r.place, o, mark.Validity, mark.UID, func(m mailbox.Message) error {
		to := Mark{m.Validity, m.UID}
		sum := feedback.NewSum()
		if m.R != nil {
			sum.Read(feedback.Input{Name: r.place.Folder, R: m.R, Mail: true})
		}
		if m.R == nil || len(sum.Troubles) > 0 {
			r.count(func(st *SourceStats) { st.Unreadable++ })
			r.notice(finding.S("mailbox {{.URL}}: the message with UID {{.UID}} ({{size .Size}}) could not be read as a report", finding.Args{"URL": r.place.String(), "UID": m.UID, "Size": m.Size}))
		}
		now := r.in.o.Now()
		if err := r.in.reports.Keep(ctx, &Report{Mailbox: r.name, From: mark, To: to, Sum: sum, Read: now}); err != nil {
			return err
		}
		mark = to
		r.count(func(st *SourceStats) {
			st.Lines++
			st.Bytes += m.Size
			st.Batches++
			st.Stored, st.Newest = now, now
		})
		return nil
	})
}
