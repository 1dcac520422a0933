// Command load runs the real `mailwhy serve` with the embedded store, has a made-up mail server log into a file that it
// follows, and lets many users search at the same time, each over a connection and a session of its own, with a pause to
// think after every answer. It prints how long each kind of question took, how far the intake is behind, and what both
// cost. With -before a log of so many bytes is imported first, that of the weeks before now.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type options struct {
	tool, maillog, dir string
	before             int64
	users, rate        int
	span, think        time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.tool, "mailwhy", "./mailwhy", "the program")
	flag.StringVar(&o.maillog, "maillog", "", "the program that writes the log (bench/maillog, built)")
	flag.Int64Var(&o.before, "before", 0, "bytes of log to import first: a gigabyte holds a million deliveries and three weeks")
	flag.StringVar(&o.dir, "dir", "", "folder of the store; kept where it exists (default: one that is removed)")
	flag.IntVar(&o.users, "users", 200, "users searching")
	flag.IntVar(&o.rate, "rate", 20_000, "lines a second coming in")
	flag.DurationVar(&o.span, "for", 30*time.Second, "how long users search")
	flag.DurationVar(&o.think, "think", 5*time.Second, "pause after an answer, on average")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o *options) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "mailwhy-load-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return err
	}
	s, err := start(o)
	if err != nil {
		return err
	}
	defer s.end()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fed := make(chan error, 1)
	seen := newSamples()
	go func() { fed <- feed(ctx, o, s.follow, seen) }()
	cookies, err := s.signIn(o.users)
	if err != nil {
		return err
	}
	<-seen.enough // the first seconds of the log are in it
	before := s.cpu()
	began := time.Now()
	all, lag := load(ctx, o, s, cookies, seen)
	wall := time.Since(began)
	spent := s.cpu() - before
	all.print(wall)
	fmt.Printf("| intake | %d lines written, behind p50 %.0f ms, max %.0f ms |\n", seen.lines.Load(), at(lag, 50), at(lag, 100))
	fmt.Printf("| processor of mailwhy | %.0f %% of a core over %.0f s; load %s |\n", 100*spent.Seconds()/wall.Seconds(), wall.Seconds(), machineLoad())
	cancel()
	<-fed
	if n := all.bad.Load(); n > 0 {
		return fmt.Errorf("%d answers were wrong", n)
	}
	return nil
}

// server is mailwhy serve at work.
type server struct {
	cmd    *exec.Cmd
	url    string
	follow string // the log it follows
}

const password = "a password of the bench"

var link = regexp.MustCompile(`(http://\S+?/)#/setup\?token=(\w+)`)

func start(o *options) (*server, error) {
	s := &server{follow: filepath.Join(o.dir, "mail.log")}
	data := filepath.Join(o.dir, "data")
	if _, err := os.Stat(data); err != nil && o.before > 0 {
		if err := o.fill(data); err != nil {
			return nil, err
		}
	}
	_ = os.Remove(filepath.Join(data, "state.db")) // users of a run before; the store stays
	config := fmt.Sprintf("[serve]\nlog_level = \"warn\"\n\n[[intake]]\nkind = \"files\"\npaths = [%q]\n", s.follow)
	file := filepath.Join(o.dir, "mailwhy.toml")
	if err := errors.Join(os.WriteFile(file, []byte(config), 0o600), os.WriteFile(s.follow, nil, 0o600)); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(o.tool, "serve", "--config", file, "--data", data, "--listen", "127.0.0.1:0", "--lang", "en")
	said, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	found := make(chan []string, 1)
	go func() {
		var text bytes.Buffer
		buf := make([]byte, 4096)
		for told := false; ; {
			n, err := said.Read(buf)
			if text.Write(buf[:n]); !told {
				if m := link.FindStringSubmatch(text.String()); m != nil {
					told = true
					found <- m
				}
			} else {
				os.Stderr.Write(buf[:n])
			}
			if err != nil {
				if !told {
					fmt.Fprint(os.Stderr, text.String())
					found <- nil
				}
				return
			}
		}
	}()
	m := <-found
	if m == nil {
		return nil, errors.New("mailwhy serve did not start")
	}
	s.url = m[1] + "api/v1/"
	return s, s.setUp(m[2])
}

// fill imports a log that ends about now.
func (o *options) fill(data string) error {
	name := filepath.Join(o.dir, "before.log")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	defer f.Close()
	days := int(23*o.before>>30) + 1
	c := exec.Command(o.maillog, "-size", fmt.Sprint(o.before), "-begin", time.Now().AddDate(0, 0, -days).Format(time.DateOnly))
	c.Stdout, c.Stderr = f, os.Stderr
	if err := c.Run(); err != nil {
		return err
	}
	began := time.Now()
	if out, err := exec.Command(o.tool, "store", "import", "--data", data, name).CombinedOutput(); err != nil {
		return fmt.Errorf("import: %w: %s", err, out)
	}
	fmt.Printf("| imported before | %.1f GB in %.0f s |\n", float64(o.before)/1e9, time.Since(began).Seconds())
	return nil
}

func (s *server) end() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// cpu is the time of processors that the server used.
func (s *server) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	var user, sys int64
	fmt.Sscan(f[11], &user)
	fmt.Sscan(f[12], &sys)
	return time.Duration(user+sys) * time.Second / 100
}

func machineLoad() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(raw))[:1], "")
}

func (s *server) post(c *http.Client, path string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := c.Post(s.url+path, "application/json", bytes.NewReader(raw))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	if r.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s %s", path, r.Status, text)
	}
	return nil
}

func (s *server) setUp(token string) error {
	return s.post(http.DefaultClient, "setup", map[string]string{"token": token, "name": "admin", "password": password})
}

// signIn gives a client per user, each with a session and a connection of its own.
func (s *server) signIn(users int) ([]*http.Client, error) {
	var out []*http.Client
	for range users {
		jar, _ := cookiejar.New(nil)
		c := &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		if err := s.post(c, "login", map[string]string{"name": "admin", "password": password}); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// samples are things to look for, taken from the log as it is written.
type samples struct {
	mu     sync.Mutex
	ids    []string
	to     []string
	lines  atomic.Int64
	enough chan struct{}
	once   sync.Once
}

func newSamples() *samples { return &samples{enough: make(chan struct{})} }

// samplesKept is how many of each are kept; a new one takes the place of any old one.
const samplesKept = 5000

func (s *samples) add(list *[]string, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*list) < samplesKept {
		*list = append(*list, what)
	} else {
		(*list)[rand.IntN(samplesKept)] = what
	}
}

func (s *samples) pick(list *[]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (*list)[rand.IntN(len(*list))]
}

var (
	idIn = regexp.MustCompile(`message-id=<([^>]{8,})>`)
	toIn = regexp.MustCompile(` to=<([^>]{8,})>, relay`)
)

// feed lets the log be written, passes it on to the file that is followed, and takes samples.
func feed(ctx context.Context, o *options, to string, s *samples) error {
	c := exec.CommandContext(ctx, o.maillog, "-rate", fmt.Sprint(o.rate), "-for", "1h")
	in, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.Start(); err != nil {
		return err
	}
	defer c.Wait()
	buf := make([]byte, 256<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return err
			}
			if m := idIn.FindSubmatch(buf[:n]); m != nil {
				s.add(&s.ids, string(m[1]))
			}
			if m := toIn.FindSubmatch(buf[:n]); m != nil {
				s.add(&s.to, string(m[1]))
			}
			if s.lines.Add(int64(bytes.Count(buf[:n], []byte("\n")))) > int64(2*o.rate) {
				s.once.Do(func() { close(s.enough) })
			}
		}
		if err != nil {
			return err
		}
	}
}

// figures are what was measured, by kind of question.
type figures struct {
	mu    sync.Mutex
	took  map[string][]float64 // milliseconds
	found map[string]int
	bad   atomic.Int64
}

func (f *figures) add(kind string, ms float64, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took[kind] = append(f.took[kind], ms)
	f.found[kind] += n
}

// at gives a percentile; the values need not be sorted.
func at(v []float64, percent int) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[min(len(v)*percent/100, len(v)-1)]
}

func (f *figures) print(wall time.Duration) {
	var all []float64
	for kind := range f.took {
		all = append(all, f.took[kind]...)
	}
	row := func(kind string, v []float64, found string) {
		fmt.Printf("| %s | %d | %s | %.1f ms | %.1f ms | %.1f ms |\n", kind, len(v), found, at(v, 50), at(v, 99), at(v, 100))
	}
	fmt.Printf("| question | asked | found each | p50 | p99 | max |\n|---|---|---|---|---|---|\n")
	for _, k := range questions {
		row(k.name, f.took[k.name], fmt.Sprintf("%.1f", float64(f.found[k.name])/float64(max(len(f.took[k.name]), 1))))
	}
	row(fmt.Sprintf("all, %.0f a second", float64(len(all))/wall.Seconds()), all, "")
}

// question is a kind of thing that users ask, and how often.
type question struct {
	name   string
	weight int
	path   func(*samples) string
}

func search(what string) string { return "trace?limit=25&q=" + url.QueryEscape(what) }

var questions = []question{
	{"message-id", 25, func(s *samples) string { return search("<" + s.pick(&s.ids) + ">") }},
	{"recipient", 30, func(s *samples) string { return search(s.pick(&s.to)) }},
	{"domain of recipients", 10, func(s *samples) string {
		_, domain, _ := strings.Cut(s.pick(&s.to), "@")
		return search("*@" + domain)
	}},
	{"part of an address", 10, func(s *samples) string {
		to := s.pick(&s.to)
		return search("*" + to[1:min(len(to), 9)] + "*")
	}},
	{"one that nobody has", 5, func(*samples) string { return search(fmt.Sprintf("nobody%d@nowhere.example", rand.IntN(1e6))) }},
	{"the newest", 8, func(*samples) string { return "trace?limit=25" }},
	{"what bounced today", 4, func(*samples) string { return "trace?limit=25&status=bounced&since=24h" }},
	{"bounces page", 2, func(*samples) string { return "bounces?since=24h" }},
	{"overview", 6, func(*samples) string { return "overview?since=24h" }},
}

func ask(all int) *question {
	n := rand.IntN(all)
	for i := range questions {
		if n -= questions[i].weight; n < 0 {
			return &questions[i]
		}
	}
	return &questions[0]
}

// load lets the users ask until the time is over, and looks once a second how far the intake is behind.
func load(ctx context.Context, o *options, s *server, users []*http.Client, seen *samples) (*figures, []float64) {
	f := &figures{took: map[string][]float64{}, found: map[string]int{}}
	ctx, cancel := context.WithTimeout(ctx, o.span)
	defer cancel()
	all := 0
	for _, q := range questions {
		all += q.weight
	}
	var wg sync.WaitGroup
	for _, c := range users {
		wg.Go(func() {
			for pause(ctx, time.Duration(rand.Float64()*2*float64(o.think))) {
				q := ask(all)
				began := time.Now()
				n, err := one(ctx, c, s.url+q.path(seen))
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					f.bad.Add(1)
					fmt.Fprintln(os.Stderr, q.name+":", err)
				}
				f.add(q.name, float64(time.Since(began).Microseconds())/1000, n)
			}
		})
	}
	var lag []float64
	for pause(ctx, time.Second) {
		if ms, err := s.behind(users[0]); err == nil {
			lag = append(lag, ms)
		}
	}
	wg.Wait()
	return f, lag
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// one asks and counts the messages in the answer.
func one(ctx context.Context, c *http.Client, to string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return 0, err
	}
	a, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	var body struct {
		Items []json.RawMessage `json:"items"`
		Cut   bool              `json:"cut"`
	}
	raw, err := io.ReadAll(a.Body)
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err == nil && (a.StatusCode != http.StatusOK || body.Cut) {
		err = fmt.Errorf("%s: %.200s", a.Status, raw)
	}
	return len(body.Items), err
}

// behind asks how far the intake is behind, in milliseconds.
func (s *server) behind(c *http.Client) (float64, error) {
	a, err := c.Get(s.url + "overview?since=1h")
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	var body struct {
		LagMS float64 `json:"lag_ms"`
	}
	return body.LagMS, json.NewDecoder(a.Body).Decode(&body)
}
