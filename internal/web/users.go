package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
)

type userRow struct {
	Me
	Disabled bool      `json:"disabled,omitempty"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"last_seen,omitzero"`
}

func rowOf(u *access.User) userRow {
	return userRow{*meOf(u), u.Disabled, u.Created, u.Seen}
}

type userOut struct{ Body userRow }

// ByID names a thing in the path.
type ByID struct {
	ID string `path:"id" maxLength:"100"`
}

type newUser struct {
	Body struct {
		Credentials
		Role    string   `json:"role" enum:"viewer,helpdesk,operator,approver,admin"`
		Domains []string `json:"domains,omitempty" maxItems:"200" doc:"of a helpdesk: all it may know of"`
		Lang    string   `json:"lang,omitempty" enum:"en,zh,"`
	}
}

type changeUser struct {
	ByID
	Body struct {
		Role     *string   `json:"role,omitempty" enum:"viewer,helpdesk,operator,approver,admin"`
		Domains  *[]string `json:"domains,omitempty" maxItems:"200"`
		Password *string   `json:"password,omitempty" maxLength:"1000"`
		Disabled *bool     `json:"disabled,omitempty"`
	}
}

type tokenRow struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	User     string      `json:"user" doc:"name of whose it is"`
	Role     access.Role `json:"role"`
	Created  time.Time   `json:"created"`
	LastUsed time.Time   `json:"last_used,omitzero"`
	Until    time.Time   `json:"until,omitzero"`
}

func (s *Server) userRoutes() {
	s.pages = append(s.pages, page{"settings", access.SignedIn})
	add(s, access.KeepUsers, huma.Operation{Method: http.MethodGet, Path: "/users", Summary: "Users"}, s.getUsers)
	add(s, access.KeepUsers, huma.Operation{Method: http.MethodPost, Path: "/users", Summary: "Make a user", DefaultStatus: http.StatusCreated}, s.addUser)
	add(s, access.KeepUsers, huma.Operation{Method: http.MethodPut, Path: "/users/{id}", Summary: "Change a user; what is absent stays"}, s.changeUser)
	add(s, access.KeepUsers, huma.Operation{Method: http.MethodDelete, Path: "/users/{id}", Summary: "Remove a user with sessions and tokens"}, s.removeUser)
	add(s, access.SignedIn, huma.Operation{Method: http.MethodGet, Path: "/tokens", Summary: "One's own API tokens; those of all for an admin"}, s.getTokens)
	add(s, access.SignedIn, huma.Operation{Method: http.MethodPost, Path: "/tokens", Summary: "Make an API token; it is told this once", DefaultStatus: http.StatusCreated}, s.addToken)
	add(s, access.SignedIn, huma.Operation{Method: http.MethodDelete, Path: "/tokens/{id}", Summary: "End an API token"}, s.removeToken)
}

func (s *Server) getUsers(ctx context.Context, _ *struct{}) (*listOut[userRow], error) {
	us, err := s.o.Access.Users(ctx)
	if err != nil {
		return nil, err
	}
	var out []userRow
	for i := range us {
		out = append(out, rowOf(&us[i]))
	}
	return listed(out, ""), nil
}

func (s *Server) addUser(ctx context.Context, in *newUser) (*userOut, error) {
	b := &in.Body
	u, err := s.o.Access.Add(ctx, access.User{Name: b.Name, Role: access.Role(b.Role), Domains: b.Domains, Lang: finding.Lang(b.Lang)}, b.Password)
	if err != nil {
		return nil, err
	}
	return &userOut{rowOf(u)}, s.record(ctx, "user.add", u.Name, strings.TrimSpace(b.Role+" "+strings.Join(u.Domains, " ")))
}

func (s *Server) changeUser(ctx context.Context, in *changeUser) (*userOut, error) {
	b := &in.Body
	c := access.Change{Role: (*access.Role)(b.Role), Domains: b.Domains, Password: b.Password, Disabled: b.Disabled}
	u, err := s.o.Access.Change(ctx, in.ID, c)
	if err != nil {
		return nil, err
	}
	var what []string
	if b.Role != nil {
		what = append(what, "role="+*b.Role)
	}
	if b.Domains != nil {
		what = append(what, "domains="+strings.Join(*b.Domains, ","))
	}
	if b.Password != nil {
		what = append(what, "password")
	}
	if b.Disabled != nil {
		what = append(what, "disabled="+strconv.FormatBool(*b.Disabled))
	}
	return &userOut{rowOf(u)}, s.record(ctx, "user.change", u.Name, strings.Join(what, " "))
}

func (s *Server) removeUser(ctx context.Context, in *ByID) (*struct{}, error) {
	u, err := s.o.Access.User(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.o.Access.Remove(ctx, in.ID); err != nil {
		return nil, err
	}
	return nil, s.record(ctx, "user.remove", u.Name, "")
}

func (s *Server) getTokens(ctx context.Context, _ *struct{}) (*listOut[tokenRow], error) {
	owner := user(ctx).ID
	names := map[string]string{owner: user(ctx).Name}
	if user(ctx).May(access.KeepUsers) {
		owner = ""
		us, err := s.o.Access.Users(ctx)
		if err != nil {
			return nil, err
		}
		for _, u := range us {
			names[u.ID] = u.Name
		}
	}
	ts, err := s.o.Access.Tokens(ctx, owner)
	if err != nil {
		return nil, err
	}
	var out []tokenRow
	for _, t := range ts {
		out = append(out, tokenRow{t.ID, t.Name, names[t.User], t.Role, t.Created, t.LastUsed, t.Until})
	}
	return listed(out, ""), nil
}

type newToken struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"100"`
		Role string `json:"role,omitempty" enum:"viewer,helpdesk,operator,approver,admin," doc:"at most one's own, which is the default"`
		Days int    `json:"days,omitempty" minimum:"0" maximum:"3650" doc:"after which it ends; 0 means never"`
	}
}

type tokenOut struct {
	Body struct {
		ID    string `json:"id"`
		Token string `json:"token" doc:"told this once"`
	}
}

func (s *Server) addToken(ctx context.Context, in *newToken) (*tokenOut, error) {
	if visitOf(ctx).token != nil {
		return nil, fault(http.StatusForbidden, finding.S("a token makes no tokens: sign in", nil))
	}
	plain, t, err := s.o.Access.NewToken(ctx, user(ctx), in.Body.Name, access.Role(in.Body.Role), time.Duration(in.Body.Days)*24*time.Hour)
	if err != nil {
		return nil, err
	}
	out := &tokenOut{}
	out.Body.ID, out.Body.Token = t.ID, plain
	return out, s.record(ctx, "token.add", t.Name, string(t.Role))
}

func (s *Server) removeToken(ctx context.Context, in *ByID) (*struct{}, error) {
	t, err := s.o.Access.RemoveToken(ctx, user(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return nil, s.record(ctx, "token.remove", t.Name, "")
}

type auditQuery struct {
	Paging
	Who  string `query:"who" maxLength:"200"`
	What string `query:"what" maxLength:"200"`
}

type auditOut struct {
	Body struct {
		List[audit.Record]
		Head string `json:"head" doc:"count:hash; keep it elsewhere, and mailwhy audit verify --head tells whether anything before it was changed"`
	}
}

func (s *Server) auditRoutes() {
	add(s, access.SeeAudit, huma.Operation{Method: http.MethodGet, Path: "/audit", Summary: "Who did and looked at what, the newest first"}, s.getAudit)
}

func (s *Server) getAudit(ctx context.Context, in *auditQuery) (*auditOut, error) {
	before, err := in.number(-1)
	if err != nil {
		return nil, err
	}
	if err := s.looked(ctx, "see.audit", ""); err != nil {
		return nil, err
	}
	rs, err := s.o.Audit.Page(before, in.Limit, func(r *audit.Record) bool {
		return (in.Who == "" || strings.EqualFold(r.Who, in.Who)) && (in.What == "" || strings.HasPrefix(r.What, in.What))
	})
	if err != nil {
		return nil, err
	}
	out := &auditOut{}
	out.Body.Items, out.Body.Head = append([]audit.Record{}, rs...), s.o.Audit.Head().String()
	if len(rs) == in.Limit && rs[len(rs)-1].N > 0 {
		out.Body.Next = strconv.FormatInt(rs[len(rs)-1].N, 10)
	}
	return out, nil
}

type ruleOut struct{ Body render.RuleView }

func (s *Server) ruleRoutes() {
	if s.o.Rules == nil {
		return
	}
	s.pages = append(s.pages, page{"rules", access.SignedIn})
	add(s, access.SignedIn, huma.Operation{Method: http.MethodGet, Path: "/rules", Summary: "Every rule this server may say"}, func(ctx context.Context, in *struct {
		Topic string `query:"topic" maxLength:"50"`
		Q     string `query:"q" maxLength:"200" doc:"words that must be in it"`
	}) (*listOut[render.RuleView], error) {
		var out []render.RuleView
		for _, r := range s.o.Rules {
			v := render.ViewRule(langOf(ctx), r)
			text := strings.ToLower(v.ID + " " + v.Title + " " + v.Says + " " + v.Why + " " + v.Repair)
			if (in.Topic == "" || v.Topic == in.Topic) && containsAll(text, in.Q) {
				out = append(out, v)
			}
		}
		return listed(out, ""), nil
	})
	add(s, access.SignedIn, huma.Operation{Method: http.MethodGet, Path: "/rules/{id}", Summary: "One rule"}, func(ctx context.Context, in *ByID) (*ruleOut, error) {
		for _, r := range s.o.Rules {
			if r.ID == in.ID {
				return &ruleOut{render.ViewRule(langOf(ctx), r)}, nil
			}
		}
		return nil, missing()
	})
}

func containsAll(text, words string) bool {
	for _, w := range strings.Fields(strings.ToLower(words)) {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

type settingsOut struct {
	Body struct {
		User   *Me               `json:"user"`
		Server map[string]string `json:"server,omitempty" doc:"what this server runs with, for admins"`
	}
}

type settingsIn struct {
	Body struct {
		User struct {
			Lang        *string `json:"lang,omitempty" enum:"en,zh,"`
			Theme       *string `json:"theme,omitempty" enum:"light,dark,"`
			Password    *string `json:"password,omitempty" maxLength:"1000"`
			OldPassword string  `json:"old_password,omitempty" maxLength:"1000" doc:"needed with password"`
		} `json:"user"`
	}
}

func (s *Server) settingRoutes() {
	add(s, access.SignedIn, huma.Operation{Method: http.MethodGet, Path: "/settings", Summary: "One's own settings, and the server's for an admin"}, s.getSettings)
	add(s, access.SignedIn, huma.Operation{Method: http.MethodPut, Path: "/settings", Summary: "Change one's own settings; what is absent stays"}, s.putSettings)
}

func (s *Server) getSettings(ctx context.Context, _ *struct{}) (*settingsOut, error) {
	out := &settingsOut{}
	out.Body.User = meOf(user(ctx))
	if s.o.Settings != nil && user(ctx).May(access.SeeSettings) {
		out.Body.Server = s.o.Settings()
	}
	return out, nil
}

func (s *Server) putSettings(ctx context.Context, in *settingsIn) (*settingsOut, error) {
	b := &in.Body.User
	v := visitOf(ctx)
	if b.Password != nil {
		if v.token != nil || v.user.Password == "" {
			return nil, fault(http.StatusForbidden, finding.S("the password can be changed by its owner only, signed in with it", nil))
		}
		if _, err := s.o.Access.Login(ctx, v.peer, v.user.Name, b.OldPassword); err != nil {
			return nil, s.refused(ctx, "password.refused", v.user.Name, err)
		}
	}
	u, err := s.o.Access.Change(ctx, v.user.ID, access.Change{Lang: (*finding.Lang)(b.Lang), Theme: b.Theme, Password: b.Password})
	if err != nil {
		return nil, err
	}
	if b.Password != nil {
		if err := s.record(ctx, "password", u.Name, ""); err != nil {
			return nil, err
		}
	}
	v.user = u
	return s.getSettings(ctx, nil)
}
