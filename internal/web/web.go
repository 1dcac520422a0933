// Package web answers HTTP: the API under api/v1 (OpenAPI 3.1, generated from the Go types of its routes), the page, and
// the health endpoints. RFC 9110, RFC 9457 (problem details), RFC 6265 (cookies), WHATWG server-sent events.
//
// Promise: every route says in one word what one must be allowed to do (access.Permission), and nothing is served without
// it. What a helpdesk's domains do not cover does not exist for it. Bad input is a 4xx that names the field, never a 5xx.
// Requests are bounded in time and bytes. The page loads nothing from other hosts. The room looks at nothing itself: it
// asks the rooms behind the interfaces in Options.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/runs"
)

// Options is everything the room needs. A nil interface means that this server does not have it: its routes are absent.
type Options struct {
	Version    string
	BasePath   string // "" or "/mail", without a slash at the end
	PublicURL  string // as users type it, without a slash at the end; "" means what the request says
	Proxies    []netip.Prefix
	Log        *slog.Logger
	Now        func() time.Time
	UI         http.Handler // the page; nil: none
	Access     *access.Keeper
	Audit      *audit.Log
	Rules      []*finding.Rule
	Settings   func() map[string]string // what this server runs with, for admins; no secrets
	Ready      func(context.Context) error
	Metrics    http.Handler   // nil: no /metrics
	Scrapers   []netip.Prefix // who may read /metrics beside this machine and those with a token
	Monitors   *monitor.Runner
	Hands      Hands // of proposals; nil: everything is done by people
	Dispatcher *notify.Dispatcher
	Channels   *notify.Book // nil: channels stand in the configuration file only

	SignOns []SignOn // services that users may sign on with

	Know          *knowledge.Base // names causes and providers; needed with Journeys
	Journeys      Journeys        // nil: nothing is taken in
	Inbox         Inbox           // nil: no test inbox
	Desk          *change.Desk    // nil: no blocklist of our own
	Reports       Reports         // nil: none are kept
	Queues        func() []Queue  // as they were looked at last; nil: nobody looks
	MonitorCounts func(context.Context) (MonitorCounts, error)
	Sources       func(finding.Lang) []Source // what logs are taken in from; nil: nothing is known of it

	Runner        runs.Runner // nil: nothing can be run from the page
	Runs          runs.Store
	RunsPerUser   int // at once; 0 means 3
	RunsPerMinute int // of one user; 0 means 30
}

// Server is the web room at work. It is an http.Handler.
type Server struct {
	o    Options
	api  huma.API
	mux  *http.ServeMux
	root http.Handler
	stop atomic.Bool // readyz says no

	pages []page

	signOns *signOns

	live       *live
	limit      *limiter
	inboxLimit *limiter
	work       sync.WaitGroup // runs under way
	runCtx     context.Context
	endAll     context.CancelFunc
}

// page is a page of the menu with what one must be allowed to see it.
type page struct {
	name string
	need access.Permission
}

// New makes the server.
func New(o Options) (*Server, error) {
	if o.BasePath != "" && (!strings.HasPrefix(o.BasePath, "/") || strings.HasSuffix(o.BasePath, "/") || strings.ContainsAny(o.BasePath, "{}?# ")) {
		return nil, fmt.Errorf("base path %q: wanted like /mail", o.BasePath)
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("public URL %q: wanted like https://mail.example/why", o.PublicURL)
		}
	}
	s := &Server{o: o, mux: http.NewServeMux()}
	s.runCtx, s.endAll = context.WithCancel(context.Background())
	s.limit = newLimiter(cmp.Or(o.RunsPerUser, 3), cmp.Or(o.RunsPerMinute, 30), maxRuns, o.Now)
	s.inboxLimit = newLimiter(10, 10, 100, o.Now)
	c := huma.DefaultConfig("mailwhy", o.Version)
	c.Info.Description = "Says why email fails: the API of mailwhy serve. Everything the page does goes through it."
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil
	c.Transformers = []huma.Transformer{translate}
	c.Servers = []*huma.Server{{URL: o.BasePath + apiPath}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: cookieName},
		"token":   {Type: "http", Scheme: "bearer"},
	}
	s.api = humago.NewWithPrefix(s.mux, o.BasePath+apiPath, c)
	s.api.UseMiddleware(s.guard)
	s.routes()
	s.around()
	return s, nil
}

const apiPath = "/api/v1"

// maxRuns is how many runs of all users are under way at once.
const maxRuns = 32

// Close ends the runs under way and waits for them.
func (s *Server) Close() error {
	s.endAll()
	s.work.Wait()
	return nil
}

// routes lists what the API answers, a function per subject.
func (s *Server) routes() {
	for _, add := range []func(*Server){
		(*Server).sessionRoutes,
		(*Server).signOnRoutes,
		(*Server).traceRoutes,
		(*Server).queueRoutes,
		(*Server).inboxRoutes,
		(*Server).blockRoutes,
		(*Server).reportRoutes,
		(*Server).runRoutes,
		(*Server).monitorRoutes,
		(*Server).maintenanceRoutes,
		(*Server).channelRoutes,
		(*Server).userRoutes,
		(*Server).auditRoutes,
		(*Server).ruleRoutes,
		(*Server).settingRoutes,
	} {
		add(s)
	}
}

// around mounts what is not the API and puts the guards in front of everything.
func (s *Server) around() {
	b := s.o.BasePath
	for _, prefix := range unique(b, "") {
		s.mux.HandleFunc("GET "+prefix+"/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
		s.mux.HandleFunc("GET "+prefix+"/readyz", s.readyz)
	}
	if s.o.Metrics != nil {
		for _, prefix := range unique(b, "") {
			s.mux.HandleFunc("GET "+prefix+"/metrics", s.metrics)
		}
	}
	s.mux.HandleFunc(b+apiPath+"/", s.noRoute)
	if s.o.UI != nil {
		s.mux.Handle(b+"/", http.StripPrefix(b, s.o.UI))
	}
	if b != "" {
		s.mux.HandleFunc("GET "+b, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, b+"/", http.StatusPermanentRedirect) })
	}
	cross := http.NewCrossOriginProtection()
	if u, err := url.Parse(s.o.PublicURL); err == nil && u.Host != "" {
		_ = cross.AddTrustedOrigin(u.Scheme + "://" + u.Host) // behind a proxy that changes Host
	}
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.write(w, r, s.problem(r.Context(), http.StatusForbidden, finding.S("this request comes from a page of another site", nil)))
	}))
	s.root = s.recoverer(s.visitor(headers(http.MaxBytesHandler(cross.Handler(s.mux), maxBody))))
}

func unique(a, b string) []string {
	if a == b {
		return []string{a}
	}
	return []string{a, b}
}

// maxBody bounds every request: a message to look at may be that big, and everything else is far smaller (each route has
// a bound of its own).
const maxBody = 26 << 20

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.root.ServeHTTP(w, r) }

// OpenAPI is the document of the API.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }

// Stopping makes /readyz say no, so that nobody sends more.
func (s *Server) Stopping() { s.stop.Store(true) }

// Serve answers on the listener until the context ends, then lets requests under way end for a short while.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute, // streams set a deadline of their own with every event
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	s.Stopping()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := h.Shutdown(grace); err != nil {
		s.o.Log.Info("requests were cut off at the end", "error", err)
		_ = h.Close() // what is open is to be closed, not to be waited for
	}
	<-done
	return nil
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// metrics are sums over all mail and the names of monitors: for Prometheus on this machine, for the networks that the
// configuration names, and for whoever may see the overview. What a proxy passes on does not come from this machine.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	v := visitOf(r.Context())
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	proxied := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" || r.Header.Get("X-Real-Ip") != ""
	ip, _ := netip.ParseAddr(v.peer)
	switch {
	case err == nil && !proxied && peer.Addr().Unmap().IsLoopback(),
		ip.IsValid() && slices.ContainsFunc(s.o.Scrapers, func(p netip.Prefix) bool { return p.Contains(ip) }),
		v.user != nil && v.user.May(access.SeeOverview):
		s.o.Metrics.ServeHTTP(w, r)
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		s.write(w, r, s.problem(r.Context(), http.StatusUnauthorized, finding.S("/metrics is for this machine, for the networks of metrics_from, and for tokens that may see the overview", nil)))
	}
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.stop.Load() {
		plain(w, http.StatusServiceUnavailable, "stopping")
		return
	}
	if s.o.Ready != nil {
		if err := s.o.Ready(r.Context()); err != nil {
			s.o.Log.Warn("not ready", "error", err)
			plain(w, http.StatusServiceUnavailable, "not ready")
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

// noRoute answers what no route of the API fits.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, s.problem(r.Context(), http.StatusNotFound, finding.S("there is nothing at {{.Path}}", finding.Args{"Path": r.URL.Path})))
}

// recoverer turns a panic into a 500 and a line of the log.
func (s *Server) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			s.o.Log.Error("mailwhy has a bug", "panic", fmt.Sprint(p), "method", r.Method, "path", r.URL.Path, "stack", string(debug.Stack()))
			s.write(w, r, s.problem(r.Context(), http.StatusInternalServerError, finding.S("mailwhy has a bug here; its log says more", nil)))
		}()
		next.ServeHTTP(w, r)
	})
}

// headers are those every answer carries. The page sets its own Content-Security-Policy over the strictest one.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Cache-Control", "no-store")
		if v := visitOf(r.Context()); v != nil && v.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
