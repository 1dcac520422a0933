package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/oauth2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// SignOn is a sign-on service (OpenID Connect): who its users are here follows from what it says of them.
type SignOn struct {
	ID           string // in addresses
	Name         string // on the button
	Issuer       string // URL
	ClientID     string
	ClientSecret string
	Scopes       []string                 // beside openid, profile and email
	NameClaim    string                   // "" means preferred_username, else email
	GroupsClaim  string                   // "" means groups
	Roles        map[access.Role][]string // role → groups that have it; the highest one counts
	Default      access.Role              // of those in none of the groups; "" means they are not let in
	Domains      map[string][]string      // group → domains of a helpdesk
}

// pendingSignOn is a sign-on that was begun.
type pendingSignOn struct {
	service  string
	nonce    string
	verifier string
	until    time.Time
}

// signOns holds what was begun, bounded, and the services as they describe themselves.
type signOns struct {
	mu        sync.Mutex
	pending   map[string]pendingSignOn // by state
	providers map[string]*oidc.Provider
	client    *http.Client
}

const (
	maxPending  = 10_000
	signOnLife  = 10 * time.Minute
	stateCookie = "mailwhy_signon"
)

type redirectOut struct {
	Status   int
	Location string        `header:"Location"`
	Cookies  []http.Cookie `header:"Set-Cookie"`
}

type callbackIn struct {
	ByID
	State string      `query:"state" maxLength:"200"`
	Code  string      `query:"code" maxLength:"8000"`
	Error string      `query:"error" maxLength:"200"`
	Mine  http.Cookie `cookie:"mailwhy_signon"`
}

func (s *Server) signOnRoutes() {
	s.signOns = &signOns{pending: map[string]pendingSignOn{}, providers: map[string]*oidc.Provider{}, client: &http.Client{Timeout: 10 * time.Second}}
	add(s, access.Anyone, huma.Operation{Method: http.MethodGet, Path: "/oidc/{id}/start", Summary: "Go to a sign-on service", DefaultStatus: http.StatusFound}, s.startSignOn)
	add(s, access.Anyone, huma.Operation{Method: http.MethodGet, Path: "/oidc/{id}/callback", Summary: "Come back from a sign-on service", DefaultStatus: http.StatusFound}, s.endSignOn)
}

// service finds a sign-on service by its id.
func (s *Server) service(id string) (*SignOn, error) {
	i := slices.IndexFunc(s.o.SignOns, func(o SignOn) bool { return o.ID == id })
	if i < 0 {
		return nil, missing()
	}
	return &s.o.SignOns[i], nil
}

// provider asks the service to describe itself, once.
func (s *Server) provider(ctx context.Context, o *SignOn) (*oidc.Provider, *oauth2.Config, error) {
	s.signOns.mu.Lock()
	p := s.signOns.providers[o.ID]
	s.signOns.mu.Unlock()
	if p == nil {
		var err error
		// Not the request's context: the provider keeps it for fetching keys later.
		if p, err = oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.signOns.client), o.Issuer); err != nil {
			s.o.Log.Warn("a sign-on service cannot be used", "service", o.ID, "error", err)
			return nil, nil, fault(http.StatusBadGateway, finding.S("{{.Name}} does not answer as a sign-on service does", finding.Args{"Name": o.Name}))
		}
		s.signOns.mu.Lock()
		s.signOns.providers[o.ID] = p
		s.signOns.mu.Unlock()
	}
	return p, &oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: s.publicURL(ctx) + apiPath + "/oidc/" + url.PathEscape(o.ID) + "/callback",
		Scopes:      append([]string{oidc.ScopeOpenID, "profile", "email"}, o.Scopes...),
	}, nil
}

func (s *Server) startSignOn(ctx context.Context, in *ByID) (*redirectOut, error) {
	o, err := s.service(in.ID)
	if err != nil {
		return nil, err
	}
	_, c, err := s.provider(ctx, o)
	if err != nil {
		return nil, err
	}
	state := rand.Text()
	p := pendingSignOn{o.ID, rand.Text(), oauth2.GenerateVerifier(), s.o.Now().Add(signOnLife)}
	s.signOns.mu.Lock()
	for k, x := range s.signOns.pending {
		if s.o.Now().After(x.until) {
			delete(s.signOns.pending, k)
		}
	}
	full := len(s.signOns.pending) >= maxPending
	if !full {
		s.signOns.pending[state] = p
	}
	s.signOns.mu.Unlock()
	if full {
		return nil, &Fault{Status: http.StatusTooManyRequests, What: finding.S("too many sign-ons are under way: try again in a few minutes", nil), Wait: time.Minute}
	}
	to := c.AuthCodeURL(state, oidc.Nonce(p.nonce), oauth2.S256ChallengeOption(p.verifier))
	return &redirectOut{http.StatusFound, to, []http.Cookie{s.stateCookie(ctx, state)}}, nil
}

// stateCookie binds a sign-on to the browser that began it.
func (s *Server) stateCookie(ctx context.Context, state string) http.Cookie {
	c := http.Cookie{Name: stateCookie, Value: state, Path: s.o.BasePath + apiPath + "/oidc/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: visitOf(ctx).secure, MaxAge: int(signOnLife / time.Second)}
	if state == "" {
		c.MaxAge = -1
	}
	return c
}

// endSignOn lets the user in, or goes back to the page with the reason why not: a browser is here, not a program.
func (s *Server) endSignOn(ctx context.Context, in *callbackIn) (*redirectOut, error) {
	o, err := s.service(in.ID)
	if err != nil {
		return nil, err
	}
	u, err := s.signedOn(ctx, o, in)
	if err == nil {
		var out *cookieOut
		if out, err = s.enter(ctx, u, "login.oidc"); err == nil {
			return &redirectOut{http.StatusFound, s.o.BasePath + "/", []http.Cookie{out.Cookie, s.stateCookie(ctx, "")}}, nil
		}
	}
	var why finding.Sentence
	var f *Fault
	var r *access.Refusal
	switch {
	case errors.As(err, &f):
		why = f.What
	case errors.As(err, &r):
		why = r.Why
	default:
		return nil, err
	}
	if err := s.record(ctx, "login.refused", o.ID, why.String()); err != nil {
		return nil, err
	}
	return &redirectOut{http.StatusFound, s.o.BasePath + "/#/login?problem=" + url.QueryEscape(why.In(langOf(ctx))), []http.Cookie{s.stateCookie(ctx, "")}}, nil
}

// signedOn checks what came back (RFC 6749 section 10.12, RFC 7636, OpenID Connect Core 3.1.3.7) and finds the user.
func (s *Server) signedOn(ctx context.Context, o *SignOn, in *callbackIn) (*access.User, error) {
	bad := fault(http.StatusBadRequest, finding.S("this sign-on was not begun here, or took too long: try again", nil))
	if in.State == "" || subtle.ConstantTimeCompare([]byte(in.State), []byte(in.Mine.Value)) != 1 {
		return nil, bad
	}
	s.signOns.mu.Lock()
	p, ok := s.signOns.pending[in.State]
	delete(s.signOns.pending, in.State)
	s.signOns.mu.Unlock()
	if !ok || p.service != o.ID || s.o.Now().After(p.until) {
		return nil, bad
	}
	refused := fault(http.StatusForbidden, finding.S("{{.Name}} did not sign you on", finding.Args{"Name": o.Name}))
	if in.Error != "" || in.Code == "" {
		return nil, refused
	}
	provider, c, err := s.provider(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, s.signOns.client)
	token, err := c.Exchange(ctx, in.Code, oauth2.VerifierOption(p.verifier))
	if err != nil {
		s.o.Log.Warn("a sign-on service refused the code", "service", o.ID, "error", err)
		return nil, refused
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: s.o.Now}).Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(p.nonce)) != 1 {
		s.o.Log.Warn("the token of a sign-on service is not valid", "service", o.ID, "error", err)
		return nil, refused
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return nil, refused
	}
	name, role, domains := o.who(claims)
	if role == "" {
		return nil, fault(http.StatusForbidden, finding.S("you are in none of the groups that may use this server", nil))
	}
	return s.o.Access.SignOn(ctx, o.ID, id.Subject, name, role, domains)
}

// who reads name, role and domains out of the claims.
func (o *SignOn) who(claims map[string]any) (name string, role access.Role, domains []string) {
	text := func(k string) string { v, _ := claims[k].(string); return v }
	if o.NameClaim != "" {
		name = text(o.NameClaim)
	} else if name = text("preferred_username"); name == "" {
		if verified, _ := claims["email_verified"].(bool); verified {
			name = text("email")
		}
	}
	if name == "" {
		name = text("sub")
	}
	var groups []string
	key := o.GroupsClaim
	if key == "" {
		key = "groups"
	}
	switch v := claims[key].(type) {
	case string:
		groups = strings.Fields(v)
	case []any:
		for _, g := range v {
			if g, ok := g.(string); ok {
				groups = append(groups, g)
			}
		}
	}
	role = o.Default
	all := access.Roles()
	for i := len(all) - 1; i >= 0; i-- {
		if slices.ContainsFunc(o.Roles[all[i]], func(g string) bool { return slices.Contains(groups, g) }) {
			role = all[i]
			break
		}
	}
	for _, g := range groups {
		domains = append(domains, o.Domains[g]...)
	}
	return name, role, domains
}
