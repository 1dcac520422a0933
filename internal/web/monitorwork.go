package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
)

// longestAnswer is how long a run by hand is waited for.
const longestAnswer = 30 * time.Second

func (s *Server) runMonitor(ctx context.Context, in *ByID) (*monitorOut, error) {
	if _, _, ok := s.o.Monitors.Find(in.ID); !ok {
		return nil, missing()
	}
	if err := s.record(ctx, "monitor.run", in.ID, ""); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	s.work.Go(func() {
		_, err := s.o.Monitors.Run(s.runCtx, in.ID)
		done <- err
	})
	wait := time.NewTimer(longestAnswer)
	defer wait.Stop()
	select {
	case err := <-done:
		if errors.Is(err, monitor.ErrRunning) {
			return nil, fault(http.StatusConflict, finding.S("this monitor is running already", nil))
		}
		if err != nil {
			return nil, err
		}
	case <-wait.C: // it goes on, and what it finds is seen later
	case <-ctx.Done():
	}
	return s.oneMonitor(ctx, in.ID)
}

func (s *Server) ackMonitor(ctx context.Context, in *struct {
	ByID
	Body struct {
		Note string `json:"note,omitempty" maxLength:"1000"`
	}
}) (*monitorOut, error) {
	if _, _, ok := s.o.Monitors.Find(in.ID); !ok {
		return nil, missing()
	}
	st, err := s.o.Monitors.Store().State(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	over := fault(http.StatusConflict, finding.S("{{.ID}} has no open incident", finding.Args{"ID": in.ID}))
	if st.Incident == "" {
		return nil, over
	}
	if err := s.record(ctx, "monitor.ack", in.ID, in.Body.Note); err != nil {
		return nil, err
	}
	err = s.o.Monitors.Store().Acknowledge(ctx, st.Incident, monitor.Ack{By: user(ctx).Name, At: s.o.Now(), Note: in.Body.Note})
	if errors.Is(err, monitor.ErrClosed) || errors.Is(err, monitor.ErrNone) {
		return nil, over
	}
	if err != nil {
		return nil, err
	}
	return s.oneMonitor(ctx, in.ID)
}

// longestMute is how long a monitor may be kept from telling.
const longestMute = 90 * 24 * time.Hour

func (s *Server) muteMonitor(ctx context.Context, in *struct {
	ByID
	Body struct {
		Reason string    `json:"reason" minLength:"1" maxLength:"1000"`
		Until  time.Time `json:"until"`
	}
}) (*monitorOut, error) {
	if _, _, ok := s.o.Monitors.Find(in.ID); !ok {
		return nil, missing()
	}
	now := s.o.Now()
	if !in.Body.Until.After(now) || in.Body.Until.Sub(now) > longestMute {
		return nil, at("until", finding.S("a mute ends within {{.Longest}} from now", finding.Args{"Longest": longestMute}))
	}
	if err := s.record(ctx, "monitor.mute", in.ID, in.Body.Until.UTC().Format(time.RFC3339)+" "+in.Body.Reason); err != nil {
		return nil, err
	}
	if err := s.o.Monitors.Store().PutMute(ctx, in.ID, &monitor.Mute{Reason: in.Body.Reason, By: user(ctx).Name, At: now, Until: in.Body.Until}); err != nil {
		return nil, err
	}
	return s.oneMonitor(ctx, in.ID)
}

func (s *Server) unmuteMonitor(ctx context.Context, in *ByID) (*monitorOut, error) {
	if _, _, ok := s.o.Monitors.Find(in.ID); !ok {
		return nil, missing()
	}
	if err := s.record(ctx, "monitor.unmute", in.ID, ""); err != nil {
		return nil, err
	}
	if err := s.o.Monitors.Store().PutMute(ctx, in.ID, nil); err != nil {
		return nil, err
	}
	return s.oneMonitor(ctx, in.ID)
}
