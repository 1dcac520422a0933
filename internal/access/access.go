// Package access knows who may do what: users, their roles and domains, sessions, API tokens, passwords, and the brake on
// those who guess.
//
// Promise: what a role may do stands in one table. A password is kept as argon2id (RFC 9106), a session or token as the
// SHA-256 of a random secret: whoever reads the store can sign in as nobody. Everything outside of a helpdesk's domains is
// as if it did not exist. The room speaks no HTTP and holds no SQL.
package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Role is what a user is.
type Role string

// The roles, from the least to the most.
const (
	Viewer   Role = "viewer"   // sees how mail does, no log lines
	Helpdesk Role = "helpdesk" // sees and tests what concerns the domains named for the user, and nothing else
	Operator Role = "operator" // sees everything of mail, tests, keeps monitors
	Approver Role = "approver" // lets proposed changes happen
	Admin    Role = "admin"    // users, settings, audit log
)

// Roles lists the roles from the least to the most.
func Roles() []Role { return []Role{Viewer, Helpdesk, Operator, Approver, Admin} }

// ParseRole finds a role by its word.
func ParseRole(s string) (Role, bool) { return Role(s), slices.Contains(Roles(), Role(s)) }

// rank orders the roles; 0 is no role.
func (r Role) rank() int { return slices.Index(Roles(), r) + 1 }

// AtMost gives the lesser of two roles: a token never has more than its user.
func (r Role) AtMost(o Role) Role {
	if o.rank() < r.rank() {
		return o
	}
	return r
}

// Permission is something one may do.
type Permission string

// The permissions.
const (
	Anyone        Permission = "anyone"         // no login needed
	SignedIn      Permission = "signed-in"      // own settings, own tokens, the rules
	SeeOverview   Permission = "see-overview"   // sums over all mail
	SeeJourneys   Permission = "see-journeys"   // messages and their fate
	SeeRaw        Permission = "see-raw"        // log lines
	SeeReports    Permission = "see-reports"    // DMARC and TLS reports
	SeeQueue      Permission = "see-queue"      //
	SeeMonitors   Permission = "see-monitors"   //
	KeepMonitors  Permission = "keep-monitors"  // make, change, mute, acknowledge
	SeeChannels   Permission = "see-channels"   // whom monitors wake, without secrets
	KeepChannels  Permission = "keep-channels"  // where what monitors tell is sent
	RunChecks     Permission = "run-checks"     // probe the network
	SeeRuns       Permission = "see-runs"       // what was run, and what came of it
	UseAccounts   Permission = "use-accounts"   // have runs log in to accounts of the configuration, and see what came of it
	SeeMachine    Permission = "see-machine"    // look at the machine itself
	UseInbox      Permission = "use-inbox"      //
	SeeBlocks     Permission = "see-blocks"     //
	KeepBlocks    Permission = "keep-blocks"    //
	Approve       Permission = "approve"        // let proposals happen
	SeeSettings   Permission = "see-settings"   // of the server
	KeepUsers     Permission = "keep-users"     // users, others' tokens
	SeeAudit      Permission = "see-audit"      //
	AllOfTheLines Permission = "export-no-mask" // export without pseudonyms
)

// may is the one table of who may do what. Helpdesk is limited to its domains on top of it (User.Sees).
var may = map[Permission][]Role{
	SignedIn:      {Viewer, Helpdesk, Operator, Approver, Admin},
	SeeOverview:   {Viewer, Operator, Approver, Admin},
	SeeJourneys:   {Viewer, Helpdesk, Operator, Approver, Admin},
	SeeRaw:        {Helpdesk, Operator, Approver, Admin},
	SeeReports:    {Viewer, Helpdesk, Operator, Approver, Admin},
	SeeQueue:      {Viewer, Operator, Approver, Admin},
	SeeMonitors:   {Viewer, Operator, Approver, Admin},
	KeepMonitors:  {Operator, Approver, Admin},
	SeeChannels:   {Operator, Approver, Admin},
	KeepChannels:  {Admin},
	RunChecks:     {Helpdesk, Operator, Approver, Admin},
	SeeRuns:       {Viewer, Helpdesk, Operator, Approver, Admin},
	UseAccounts:   {Operator, Approver, Admin},
	SeeMachine:    {Operator, Approver, Admin},
	UseInbox:      {Helpdesk, Operator, Approver, Admin},
	SeeBlocks:     {Viewer, Operator, Approver, Admin},
	KeepBlocks:    {Operator, Approver, Admin},
	Approve:       {Approver, Admin},
	SeeSettings:   {Admin},
	KeepUsers:     {Admin},
	SeeAudit:      {Admin},
	AllOfTheLines: {Operator, Approver, Admin},
}

// May tells whether the role has the permission.
func (r Role) May(p Permission) bool { return p == Anyone || slices.Contains(may[p], r) }

// User is somebody who can sign in.
type User struct {
	ID       string // random, never reused
	Name     string // as typed; compared without case
	Role     Role
	Domains  []string // of a helpdesk, lower case; names below them are meant too
	Lang     finding.Lang
	Theme    string // "light", "dark" or "" for the device's
	Password string // argon2id in its usual form, "" where a sign-on service answers for the user
	Issuer   string // of the sign-on service, "" for a local user
	Subject  string // there
	Disabled bool
	Created  time.Time
	Seen     time.Time // last sign-in
}

// Limited tells that the user sees some domains only.
func (u *User) Limited() bool { return u.Role == Helpdesk }

// May tells whether the user has the permission.
func (u *User) May(p Permission) bool {
	return p == Anyone || u != nil && !u.Disabled && u.Role.May(p)
}

// Sees tells whether a domain is one the user may know of. Names below a named domain belong to it.
func (u *User) Sees(domain string) bool {
	if u == nil {
		return false
	}
	if !u.Limited() {
		return true
	}
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	for _, d := range u.Domains {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return true
		}
	}
	return false
}

// SeesAddress tells whether an address belongs to a domain the user may know of.
func (u *User) SeesAddress(address string) bool {
	if u != nil && !u.Limited() {
		return true
	}
	return u.Sees(address[strings.LastIndexByte(address, '@')+1:]) && strings.Contains(address, "@")
}

// Session is a browser that signed in.
type Session struct {
	Hash    string // of the cookie
	User    string // ID
	Address string // where it signed in from
	Created time.Time
	Seen    time.Time
	Until   time.Time // the end, whatever happens
}

// Token is a secret for programs.
type Token struct {
	ID       string
	Hash     string
	User     string // ID of whose it is
	Name     string
	Role     Role // at most the user's
	Created  time.Time
	LastUsed time.Time
	Until    time.Time // zero: no end
}

// Store remembers them. ErrNone says that there is no such thing, ErrTaken that a name is in use.
type Store interface {
	Users(ctx context.Context) ([]User, error)
	User(ctx context.Context, id string) (*User, error)
	UserByName(ctx context.Context, name string) (*User, error) // without case
	PutUser(ctx context.Context, u *User) error                 // makes or changes, by ID
	FirstUser(ctx context.Context, u *User) error               // makes it, or ErrTaken where there is any user
	DeleteUser(ctx context.Context, id string) error            // with sessions and tokens
	SawUser(ctx context.Context, id string, at time.Time) error // sets Seen alone

	PutSession(ctx context.Context, s *Session) error
	SawSession(ctx context.Context, hash string, at time.Time) error // sets Seen of a session that still is
	Session(ctx context.Context, hash string) (*Session, error)
	DeleteSession(ctx context.Context, hash string) error
	DeleteSessions(ctx context.Context, user string) error
	SweepSessions(ctx context.Context, now, idle time.Time) error // ended before now, or not seen since idle

	PutToken(ctx context.Context, t *Token) error
	SawToken(ctx context.Context, id string, at time.Time) error // sets LastUsed of a token that still is
	Token(ctx context.Context, hash string) (*Token, error)
	Tokens(ctx context.Context, user string) ([]Token, error) // "" means of all
	DeleteToken(ctx context.Context, id string) error
}

// The errors of a Store.
var (
	ErrNone  = errors.New("no such user, session or token")
	ErrTaken = errors.New("the name is taken")
)
