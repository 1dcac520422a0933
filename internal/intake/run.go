package intake

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Options of an intake. Zero values take the defaults.
type Options struct {
	Now      func() time.Time
	Local    *time.Location // zone of line times that name none; nil means UTC
	Log      *slog.Logger   // nil: nowhere
	Node     string         // name of this machine, where several intakes write to one store; it becomes part of the names of sources
	Spool    string         // folder for lines that cannot be read again while the store is away; "": kept in memory, up to a batch
	SpoolMax int64          // bytes of the spool of one source; 0 means 1 GiB
	Stdin    io.Reader
	Dial     wire.Dialer    // for mailboxes
	Roots    *x509.CertPool // for mailboxes; nil: the system's
	Journal  string         // the program that gives the journal; "" means journalctl

	Flush    time.Duration // longest wait of a line for its batch; 0 means 500 ms
	Poll     time.Duration // time between two looks at a file, beside the system's notices; 0 means 1 s
	Settle   time.Duration // how long a rotated file is still read after its successor has lines; 0 means 2 s, below 0 not at all
	Retry    time.Duration // first wait before the sink is tried again; 0 means 100 ms
	RetryMax time.Duration // longest such wait; 0 means 10 s
}

func (o *Options) defaults() {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Flush, 500*time.Millisecond)
	def(&o.Poll, time.Second)
	def(&o.Settle, 2*time.Second)
	def(&o.Retry, 100*time.Millisecond)
	def(&o.RetryMax, 10*time.Second)
	if o.SpoolMax <= 0 {
		o.SpoolMax = 1 << 30
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Journal == "" {
		o.Journal = "journalctl"
	}
}

// Intake is a set of sources that run into one sink. Make it with New.
type Intake struct {
	o       Options
	sink    Sink
	reports ReportSink
	runs    []runner
	watch   *watcher

	mu      sync.Mutex
	sources []*source
	hosts   map[string]*HostStats
}

// runner is one entry of the configuration at work. It owns its goroutines: when run returns they are gone.
type runner interface {
	run(ctx context.Context) error
}

// New prepares the sources of the configuration: sockets are bound here, so that a port that is taken is an error at the
// start. reports may be nil where there are no mailboxes.
func New(o Options, list []Config, sink Sink, reports ReportSink) (*Intake, error) {
	o.defaults()
	in := &Intake{o: o, sink: sink, reports: reports, hosts: map[string]*HostStats{}, watch: newWatcher()}
	for i := range list {
		c := list[i]
		if bad := c.Validate(); len(bad) > 0 {
			in.close()
			return nil, errors.New(bad[0].String())
		}
		r, err := in.runnerOf(&c)
		if err != nil {
			in.close()
			return nil, err
		}
		in.runs = append(in.runs, r)
	}
	return in, nil
}

func (in *Intake) runnerOf(c *Config) (runner, error) {
	switch c.Kind {
	case "files":
		return &files{in: in, c: c}, nil
	case "journald":
		return &journal{source: in.newSource("journald", "", c.Host), c: c}, nil
	case "syslog":
		return newSyslog(in, c)
	case "stdin":
		if in.o.Stdin == nil {
			return nil, errors.New("there is no standard input")
		}
		return &stdin{newStream(in.newSource("stdin", "", c.Host)), in.o.Stdin}, nil
	case "folder":
		var all several
		for _, p := range c.Paths {
			p = filepath.Clean(p)
			all = append(all, &folder{source: in.newSource("folder", p, c.Host), dir: p})
		}
		return all, nil
	case "mailbox":
		return newReportsBox(in, c)
	}
	return nil, errors.New("intake: unknown kind " + c.Kind)
}

// several run side by side.
type several []runner

func (s several) run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(s))
	for i, r := range s {
		wg.Go(func() { errs[i] = r.run(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Addrs are where syslog is listened for, in the order of the configuration.
func (in *Intake) Addrs() (out []net.Addr) {
	for _, r := range in.runs {
		if s, ok := r.(*syslog); ok {
			out = append(out, s.Addr())
		}
	}
	return out
}

// close gives back what New bound.
func (in *Intake) close() {
	for _, r := range in.runs {
		if c, ok := r.(io.Closer); ok {
			c.Close()
		}
	}
	in.watch.close()
}

// Run reads until ctx ends or all sources are at their end, stores what was read by then or leaves it to be read again,
// and returns.
func (in *Intake) Run(ctx context.Context) error {
	defer in.close()
	var wg sync.WaitGroup
	errs := make([]error, len(in.runs))
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); in.watch.run(watching) }()
	defer func() { stop(); <-watched }()
	for i, r := range in.runs {
		wg.Go(func() {
			if err := r.run(ctx); err != nil && ctx.Err() == nil {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
