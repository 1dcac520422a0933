package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
)

// visit is what is known of a request before a route sees it.
type visit struct {
	user   *access.User // nil: nobody signed in
	token  *access.Token
	cookie string
	lang   finding.Lang
	peer   string // address of the client, of the proxy's word where the proxy is trusted
	secure bool   // HTTPS, as the browser sees it
	host   string
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// cookieName is the session's.
const cookieName = "mailwhy_session"

// visitor finds out who asks, from where, in which language.
func (s *Server) visitor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{lang: finding.EN, host: r.Host, secure: r.TLS != nil || strings.HasPrefix(s.o.PublicURL, "https:")}
		s.peer(v, r)
		err := s.identify(v, r)
		v.lang = language(r, v.user)
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
		if err != nil {
			s.write(w, r, s.failed(r.Context(), err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// peer takes the client's address, and what a trusted proxy says of it. The last address in X-Forwarded-For that is not a
// proxy of ours is the client: what stands before it was written by the client itself.
func (s *Server) peer(v *visit, r *http.Request) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		v.peer = "unknown"
		return
	}
	ip := at.Addr().Unmap().WithZone("")
	if s.trusted(ip) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0; i-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			if ip = hop.Unmap().WithZone(""); !s.trusted(ip) {
				break
			}
		}
		v.secure = v.secure || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
		if h := r.Header.Get("X-Forwarded-Host"); h != "" {
			v.host = h
		}
	}
	v.peer = ip.String()
}

func (s *Server) trusted(ip netip.Addr) bool {
	for _, p := range s.o.Proxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// identify finds the user behind a bearer token or a session cookie. A token that is none is an error: a program should
// hear of it; a cookie that is none is nobody.
func (s *Server) identify(v *visit, r *http.Request) error {
	if s.o.Access == nil || !strings.HasPrefix(r.URL.Path, s.o.BasePath+apiPath) && !strings.HasSuffix(r.URL.Path, "/metrics") {
		return nil
	}
	if word, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(word, "Bearer") {
		u, t, err := s.o.Access.ByToken(r.Context(), strings.TrimSpace(token))
		v.user, v.token = u, t
		return err
	}
	c, err := r.Cookie(cookieName)
	if err != nil || c.Value == "" {
		return nil
	}
	u, err := s.o.Access.BySession(r.Context(), c.Value)
	if errors.Is(err, access.ErrOut) {
		return nil
	}
	v.user, v.cookie = u, c.Value
	return err
}

// language is ?lang=, else the user's, else the first of Accept-Language that is one of ours.
func language(r *http.Request, u *access.User) finding.Lang {
	if l, ok := langWord(r.URL.Query().Get("lang")); ok {
		return l
	}
	if u != nil && u.Lang != "" {
		return u.Lang
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		word, _, _ := strings.Cut(part, ";")
		if l, ok := langWord(word); ok {
			return l
		}
	}
	return finding.EN
}

func langWord(s string) (finding.Lang, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	switch {
	case s == "zh" || strings.HasPrefix(s, "zh-") || strings.HasPrefix(s, "zh_"):
		return finding.ZH, true
	case s == "en" || strings.HasPrefix(s, "en-") || strings.HasPrefix(s, "en_"):
		return finding.EN, true
	}
	return "", false
}

// need is the key under which a route says what it needs.
const need = "need"

// guard holds every route to its permission.
func (s *Server) guard(ctx huma.Context, next func(huma.Context)) {
	p, _ := ctx.Operation().Metadata[need].(access.Permission)
	v := visitOf(ctx.Context())
	switch {
	case p == access.Anyone:
	case v == nil || v.user == nil:
		s.deny(ctx, http.StatusUnauthorized, finding.S("sign in first", nil))
		return
	case p == "" || !v.user.May(p):
		s.deny(ctx, http.StatusForbidden, finding.S("a {{.Role}} may not do this", finding.Args{"Role": string(v.user.Role)}))
		return
	}
	next(ctx)
}

func (s *Server) deny(ctx huma.Context, status int, why finding.Sentence) {
	m := s.problem(ctx.Context(), status, why)
	if status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	ctx.SetHeader("Content-Type", problemType)
	ctx.SetStatus(status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(m) // the client may be gone
}

const problemType = "application/problem+json"

// problem is an answer that says what is wrong, in the visitor's language.
func (s *Server) problem(ctx context.Context, status int, what finding.Sentence) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: what.In(langOf(ctx))}
}

func langOf(ctx context.Context) finding.Lang {
	if v := visitOf(ctx); v != nil {
		return v.lang
	}
	return finding.EN
}

// Fault is an error of a room for the one who asked: it becomes the answer's problem. Field names the input at fault.
type Fault struct {
	Status int
	What   finding.Sentence
	Field  string
	Wait   time.Duration // Retry-After
}

// Error makes a Fault an error.
func (f *Fault) Error() string { return f.What.String() }

// fault makes a Fault.
func fault(status int, what finding.Sentence) error { return &Fault{Status: status, What: what} }

// at makes a Fault of one input.
func at(field string, what finding.Sentence) error {
	return &Fault{Status: http.StatusUnprocessableEntity, What: what, Field: field}
}

// missing says that there is no such thing, or none the user may know of.
func missing() error {
	return fault(http.StatusNotFound, finding.S("there is no such thing here", nil))
}

// failed turns any error of a handler into what the client is told. Errors that are nobody's fault but ours are logged
// and not told.
func (s *Server) failed(ctx context.Context, err error) error {
	var f *Fault
	var r *access.Refusal
	var ready huma.StatusError
	var bad *runs.BadArg
	switch {
	case errors.As(err, &ready):
		return err
	case errors.As(err, &f):
	case errors.As(err, &bad):
		f = &Fault{Status: http.StatusUnprocessableEntity, What: bad.What, Field: "args." + bad.Name}
	case errors.As(err, &r):
		f = &Fault{Status: http.StatusUnprocessableEntity, What: r.Why, Field: r.Field, Wait: r.Wait}
		switch {
		case r.Wait > 0:
			f.Status = http.StatusTooManyRequests
		case r.Taken:
			f.Status = http.StatusConflict
		}
	case errors.Is(err, access.ErrOut):
		f = &Fault{Status: http.StatusUnauthorized, What: finding.S("the token is not valid", nil)}
	case errors.Is(err, access.ErrNone):
		f = &Fault{Status: http.StatusNotFound, What: finding.S("there is no such thing here", nil)}
	case errors.Is(err, access.ErrTaken):
		f = &Fault{Status: http.StatusConflict, What: finding.S("the name is taken", nil)}
	case ctx.Err() != nil:
		f = &Fault{Status: 499, What: finding.S("stopped before it was done", nil)} // nobody listens
	default:
		s.o.Log.Error("a request failed", "error", err)
		f = &Fault{Status: http.StatusInternalServerError, What: finding.S("mailwhy could not do its own work; its log says more", nil)}
	}
	m := s.problem(ctx, f.Status, f.What)
	if f.Field != "" {
		m.Errors = []*huma.ErrorDetail{{Message: m.Detail, Location: "body." + f.Field}}
	}
	if f.Wait > 0 {
		return huma.ErrorWithHeaders(m, http.Header{"Retry-After": {strconv.Itoa(int(f.Wait/time.Second) + 1)}})
	}
	return m
}

// write sends an error outside of a route.
func (s *Server) write(w http.ResponseWriter, r *http.Request, err error) {
	var m *huma.ErrorModel
	if !errors.As(err, &m) {
		m = s.problem(r.Context(), http.StatusInternalServerError, finding.Sentence{})
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(m.Status)
	_ = json.NewEncoder(w).Encode(m) // the client may be gone
}

// translate says what the API library itself complains about in the visitor's language; the details name the field and
// stay as they are.
func translate(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	if m.Detail == "validation failed" {
		said := finding.S("this is not what the API takes: errors tell which field and why", nil)
		m.Detail = said.In(langOf(ctx.Context()))
	}
	return m, nil
}

// add puts a route into the API. It needs a permission, a method and a path; the id is made of them.
func add[I, O any](s *Server, p access.Permission, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	describe(&op, p)
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		return out, nil
	})
}

// describe fills in what every route has.
func describe(op *huma.Operation, p access.Permission) {
	op.Metadata = map[string]any{need: p}
	op.OperationID = strings.ToLower(op.Method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(op.Path)
	op.Extensions = map[string]any{"x-permission": string(p)}
	op.Tags = []string{strings.Split(op.Path, "/")[1]}
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity)
	if p != access.Anyone {
		op.Security = []map[string][]string{{"session": {}}, {"token": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
}

// record writes what a visitor did into the audit log; without it, nothing is done.
func (s *Server) record(ctx context.Context, what, target, detail string) error {
	return s.note(ctx, audit.Record{What: what, Target: target, Detail: detail}, s.o.Audit.Append)
}

// looked writes what a visitor looked at into the audit log.
func (s *Server) looked(ctx context.Context, what, target string) error {
	return s.note(ctx, audit.Record{What: what, Target: target}, s.o.Audit.Look)
}

func (s *Server) note(ctx context.Context, r audit.Record, write func(audit.Record) (audit.Head, error)) error {
	if v := visitOf(ctx); v != nil {
		r.From = v.peer
		if v.user != nil {
			r.Who = v.user.Name
		}
		if v.token != nil {
			r.From += " token " + v.token.Name
		}
	}
	_, err := write(r)
	return err
}

// user is who asks; routes that need more than Anyone always have one.
func user(ctx context.Context) *access.User { return visitOf(ctx).user }
