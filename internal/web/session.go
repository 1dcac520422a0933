package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Me is the user as the page sees itself.
type Me struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Role    access.Role  `json:"role"`
	Domains []string     `json:"domains,omitempty"`
	Lang    finding.Lang `json:"lang,omitempty"`
	Theme   string       `json:"theme,omitempty"`
	SignOn  string       `json:"sign_on,omitempty" doc:"the sign-on service that answers for the user, who then has no password here"`
}

func meOf(u *access.User) *Me {
	return &Me{u.ID, u.Name, u.Role, u.Domains, u.Lang, u.Theme, u.Issuer}
}

type sessionOut struct {
	Body struct {
		User        *Me            `json:"user,omitempty" doc:"who is signed in"`
		SetupNeeded bool           `json:"setup_needed" doc:"there is no user yet: open the set-up link"`
		OIDC        []signOn       `json:"oidc" doc:"sign-on services"`
		Version     string         `json:"version"`
		Languages   []finding.Lang `json:"languages"`
		BasePath    string         `json:"base_path"`
		Pages       []string       `json:"pages" doc:"pages this user may see on this server"`
	}
}

type signOn struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// cookieOut is an answer that sets or clears the session's cookie.
type cookieOut struct {
	Cookie http.Cookie `header:"Set-Cookie"`
	Body   struct {
		User *Me `json:"user,omitempty"`
	}
}

// Credentials are what one signs in with.
type Credentials struct {
	Name     string `json:"name" maxLength:"200"`
	Password string `json:"password" maxLength:"1000"`
}

func (s *Server) sessionRoutes() {
	add(s, access.Anyone, huma.Operation{Method: http.MethodGet, Path: "/session", Summary: "Who is signed in, and what this server has"}, s.getSession)
	add(s, access.Anyone, huma.Operation{Method: http.MethodPost, Path: "/setup", Summary: "Make the first user, with the token of the set-up link", DefaultStatus: http.StatusOK}, s.setup)
	add(s, access.Anyone, huma.Operation{Method: http.MethodPost, Path: "/login", Summary: "Sign in: sets the session cookie", DefaultStatus: http.StatusOK}, s.login)
	add(s, access.Anyone, huma.Operation{Method: http.MethodPost, Path: "/logout", Summary: "End the session", DefaultStatus: http.StatusOK}, s.logout)
}

func (s *Server) getSession(ctx context.Context, _ *struct{}) (*sessionOut, error) {
	out := &sessionOut{}
	b := &out.Body
	b.Version, b.Languages, b.BasePath, b.OIDC, b.Pages = s.o.Version, []finding.Lang{finding.EN, finding.ZH}, s.o.BasePath, []signOn{}, []string{}
	u := user(ctx)
	if u != nil {
		b.User = meOf(u)
	}
	for _, o := range s.o.SignOns {
		b.OIDC = append(b.OIDC, signOn{o.ID, o.Name})
	}
	for _, p := range s.pages {
		if u.May(p.need) {
			b.Pages = append(b.Pages, p.name)
		}
	}
	var err error
	if u == nil {
		b.SetupNeeded, err = s.o.Access.SetupNeeded(ctx)
	}
	return out, err
}

func (s *Server) setup(ctx context.Context, in *struct {
	Body struct {
		Credentials
		Token string `json:"token" maxLength:"200"`
	}
}) (*cookieOut, error) {
	u, err := s.o.Access.Setup(ctx, visitOf(ctx).peer, in.Body.Token, in.Body.Name, in.Body.Password)
	if err != nil {
		return nil, s.refused(ctx, "setup.refused", in.Body.Name, err)
	}
	return s.enter(ctx, u, "setup")
}

func (s *Server) login(ctx context.Context, in *struct{ Body Credentials }) (*cookieOut, error) {
	u, err := s.o.Access.Login(ctx, visitOf(ctx).peer, in.Body.Name, in.Body.Password)
	if err != nil {
		return nil, s.refused(ctx, "login.refused", in.Body.Name, err)
	}
	return s.enter(ctx, u, "login")
}

// refused writes down who was not let in. A wrong password is a 401, so that the page can tell.
func (s *Server) refused(ctx context.Context, what, name string, err error) error {
	var r *access.Refusal
	if !errors.As(err, &r) {
		return err
	}
	if err := s.record(ctx, what, name, r.Why.String()); err != nil {
		return err
	}
	if r.Field == "" && r.Wait == 0 {
		return fault(http.StatusUnauthorized, r.Why)
	}
	return r
}

// enter begins a session.
func (s *Server) enter(ctx context.Context, u *access.User, what string) (*cookieOut, error) {
	visitOf(ctx).user = u
	if err := s.record(ctx, what, u.Name, ""); err != nil {
		return nil, err
	}
	cookie, err := s.o.Access.Open(ctx, u, visitOf(ctx).peer)
	if err != nil {
		return nil, err
	}
	out := &cookieOut{Cookie: s.cookie(ctx, cookie)}
	out.Cookie.MaxAge = int(s.o.Access.Life().Seconds())
	out.Body.User = meOf(u)
	return out, nil
}

// cookie is the session's cookie with a value, "" to take it back.
func (s *Server) cookie(ctx context.Context, value string) http.Cookie {
	c := http.Cookie{Name: cookieName, Value: value, Path: s.o.BasePath + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: visitOf(ctx).secure}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

func (s *Server) logout(ctx context.Context, _ *struct{}) (*cookieOut, error) {
	v := visitOf(ctx)
	if v.cookie != "" {
		if err := s.record(ctx, "logout", "", ""); err != nil {
			return nil, err
		}
		if err := s.o.Access.Close(ctx, v.cookie); err != nil {
			return nil, err
		}
	}
	return &cookieOut{Cookie: s.cookie(ctx, "")}, nil
}

// List is a page of a list. Next is what to give as cursor for the next page, absent at the end.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

type listOut[T any] struct{ Body List[T] }

func listed[T any](items []T, next string) *listOut[T] {
	if items == nil {
		items = []T{}
	}
	return &listOut[T]{List[T]{items, next}}
}

// Paging is what every list takes.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"500" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// number reads a cursor that is a number; the first page has none.
func (p *Paging) number(first int64) (int64, error) {
	if p.Cursor == "" {
		return first, nil
	}
	n, err := strconv.ParseInt(p.Cursor, 10, 64)
	if err != nil || n < 0 {
		return 0, fault(http.StatusUnprocessableEntity, finding.S("this is no cursor of this list", nil))
	}
	return n, nil
}
