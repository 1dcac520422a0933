package intake

import (
	"context"
	"errors"
	"io"
	"sync"
)

// stdin reads standard input to its end. A reader that blocks when ctx ends is left behind: the program is about to end.
type stdin struct {
	*stream
	r io.Reader
}

func (s *stdin) run(ctx context.Context) error {
	defer s.leave()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var serr error
	wg.Go(func() { serr = s.store(context.WithoutCancel(ctx), stop) })
	read := make(chan error, 1)
	go func() { read <- s.read(ctx) }()
	var err error
	select {
	case err = <-read:
	case <-ctx.Done():
	}
	close(stop)
	wg.Wait()
	return errors.Join(err, serr)
}

func (s *stdin) read(ctx context.Context) error {
	cut := cutter{emit: func(line []byte, _ int64) error { return s.add(ctx, line, true) }}
	buf := make([]byte, 64<<10)
	for {
		n, err := s.r.Read(buf)
		if ferr := cut.feed(buf[:n]); ferr != nil {
			return ferr
		}
		s.long(&cut, "-")
		if err == io.EOF {
			return cut.finish()
		}
		if err != nil {
			return err
		}
	}
}
