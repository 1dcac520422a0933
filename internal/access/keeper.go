package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Options of a Keeper. Zero values take the defaults.
type Options struct {
	Now   func() time.Time // needed
	Idle  time.Duration    // a session ends when not used for so long; 0 means 12 h
	Most  time.Duration    // a session ends after so long; 0 means 7 days
	Cost  Cost             // of a guess
	Free  int              // failures before the brake acts; 0 means 5
	Brake time.Duration    // longest wait; 0 means 15 min
}

// Keeper signs users in and out. It is safe for concurrent use.
type Keeper struct {
	store Store
	o     Options
	names *brake
	peers *brake
	busy  chan struct{} // bounds the memory that guesses take at once
	decoy string        // a hash nobody knows the password of: unknown names cost as much as known ones

	change sync.Mutex // users are read, judged and written by one at a time

	mu    sync.Mutex
	setup string // hash of the set-up secret; "" after it was used
}

// Refusal is why somebody was not let in, or something about a user could not be done. It is for the user to read.
type Refusal struct {
	Why   finding.Sentence
	Field string        // the field at fault
	Wait  time.Duration // not before
	Taken bool          // it clashes with what is there
}

// Error makes a Refusal an error.
func (r *Refusal) Error() string { return r.Why.String() }

func refuse(field string, why finding.Sentence) error { return &Refusal{Why: why, Field: field} }

// ErrOut says that nobody is signed in.
var ErrOut = errors.New("not signed in")

// New makes a Keeper.
func New(store Store, o Options) *Keeper {
	if o.Idle <= 0 {
		o.Idle = 12 * time.Hour
	}
	if o.Most <= 0 {
		o.Most = 7 * 24 * time.Hour
	}
	if o.Cost == (Cost{}) {
		o.Cost = usualCost
	}
	if o.Free <= 0 {
		o.Free = 5
	}
	if o.Brake <= 0 {
		o.Brake = 15 * time.Minute
	}
	return &Keeper{
		store: store, o: o, busy: make(chan struct{}, 4), decoy: hashPassword(rand.Text(), o.Cost),
		names: newBrake(o.Free, time.Second, o.Brake, o.Now),
		peers: newBrake(4*o.Free, time.Second, o.Brake, o.Now),
	}
}

// secret gives a new random secret with its hash.
func secret() (plain, hash string) {
	plain = rand.Text() + rand.Text()[:6] // 160 bits
	return plain, hashOf(plain)
}

func hashOf(plain string) string {
	sum := sha256.Sum256([]byte(plain))
	return hex.EncodeToString(sum[:])
}

// NewID gives a random name for a thing: 80 bits, lower case.
func NewID() string { return strings.ToLower(rand.Text()[:16]) }

// SetupSecret gives the secret of the one-time set-up link where there is no user yet, else "". Each call makes the one
// before useless.
func (k *Keeper) SetupSecret(ctx context.Context) (string, error) {
	us, err := k.store.Users(ctx)
	if err != nil || len(us) > 0 {
		return "", err
	}
	plain, hash := secret()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.setup = hash
	return plain, nil
}

// SetupNeeded tells whether there is no user yet.
func (k *Keeper) SetupNeeded(ctx context.Context) (bool, error) {
	us, err := k.store.Users(ctx)
	return len(us) == 0 && err == nil, err
}

// Setup makes the first user, an admin, for whoever holds the set-up secret. The secret works once.
func (k *Keeper) Setup(ctx context.Context, peer, token, name, password string) (*User, error) {
	if err := k.slow(k.peers.wait(peer)); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.setup == "" || subtle.ConstantTimeCompare([]byte(k.setup), []byte(hashOf(token))) != 1 {
		k.peers.failed(peer)
		return nil, refuse("token", finding.S("this set-up link is not valid, or was used before", nil))
	}
	u := &User{ID: NewID(), Name: name, Role: Admin, Created: k.o.Now()}
	if err := k.fill(u, &password); err != nil {
		return nil, err
	}
	if err := k.store.FirstUser(ctx, u); err != nil {
		return nil, err
	}
	k.setup = ""
	return u, nil
}

func (k *Keeper) slow(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return &Refusal{Why: finding.S("too many failed attempts: try again in {{.Wait}}", finding.Args{"Wait": d.Round(time.Second)}), Wait: d}
}

// Login signs a local user in. Failures of the name and of the peer's address are braked.
func (k *Keeper) Login(ctx context.Context, peer, name, password string) (*User, error) {
	key := strings.ToLower(strings.TrimSpace(name))
	if err := k.slow(max(k.names.wait(key), k.peers.wait(peer))); err != nil {
		return nil, err
	}
	u, err := k.store.UserByName(ctx, key)
	if err != nil && !errors.Is(err, ErrNone) {
		return nil, err
	}
	hash := k.decoy
	if u != nil && u.Password != "" {
		hash = u.Password
	}
	select {
	case k.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ok := len(password) <= maxPassword && checkPassword(password, hash)
	<-k.busy
	if !ok || u == nil || u.Disabled || u.Password == "" {
		k.names.failed(key)
		k.peers.failed(peer)
		return nil, refuse("", finding.S("the name or the password is wrong", nil))
	}
	k.names.passed(key)
	k.peers.passed(peer)
	u.Seen = k.o.Now()
	return u, k.store.SawUser(ctx, u.ID, u.Seen)
}

// Open begins a session and gives the cookie's value.
func (k *Keeper) Open(ctx context.Context, u *User, peer string) (cookie string, err error) {
	now := k.o.Now()
	if err := k.store.SweepSessions(ctx, now, now.Add(-k.o.Idle)); err != nil {
		return "", err
	}
	plain, hash := secret()
	return plain, k.store.PutSession(ctx, &Session{Hash: hash, User: u.ID, Address: peer, Created: now, Seen: now, Until: now.Add(k.o.Most)})
}

// Life is how long a session lasts at most.
func (k *Keeper) Life() time.Duration { return k.o.Most }

// BySession gives the user of a cookie, or ErrOut.
func (k *Keeper) BySession(ctx context.Context, cookie string) (*User, error) {
	s, err := k.store.Session(ctx, hashOf(cookie))
	if err != nil {
		return nil, out(err)
	}
	now := k.o.Now()
	if now.After(s.Until) || now.Sub(s.Seen) > k.o.Idle {
		return nil, errors.Join(ErrOut, k.store.DeleteSession(ctx, s.Hash))
	}
	if now.Sub(s.Seen) > time.Minute { // so that a busy page does not write with every request
		if err := k.store.SawSession(ctx, s.Hash, now); err != nil {
			return nil, err
		}
	}
	return k.alive(ctx, s.User)
}

// ByToken gives the user of an API token with the token's role, or ErrOut.
func (k *Keeper) ByToken(ctx context.Context, token string) (*User, *Token, error) {
	t, err := k.store.Token(ctx, hashOf(token))
	if err != nil {
		return nil, nil, out(err)
	}
	now := k.o.Now()
	if !t.Until.IsZero() && now.After(t.Until) {
		return nil, nil, ErrOut
	}
	u, err := k.alive(ctx, t.User)
	if err != nil {
		return nil, nil, err
	}
	if now.Sub(t.LastUsed) > time.Minute {
		if err := k.store.SawToken(ctx, t.ID, now); err != nil {
			return nil, nil, err
		}
	}
	if !u.Limited() { // a helpdesk stays within its domains, whatever the token says
		u.Role = u.Role.AtMost(t.Role)
	}
	return u, t, nil
}

func out(err error) error {
	if errors.Is(err, ErrNone) {
		return ErrOut
	}
	return err
}

func (k *Keeper) alive(ctx context.Context, id string) (*User, error) {
	u, err := k.store.User(ctx, id)
	if err != nil {
		return nil, out(err)
	}
	if u.Disabled {
		return nil, ErrOut
	}
	return u, nil
}

// Close ends a session.
func (k *Keeper) Close(ctx context.Context, cookie string) error {
	return k.store.DeleteSession(ctx, hashOf(cookie))
}

// Users lists the users by name.
func (k *Keeper) Users(ctx context.Context) ([]User, error) {
	us, err := k.store.Users(ctx)
	slices.SortFunc(us, func(a, b User) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return us, err
}

// User finds a user by ID, or ErrNone.
func (k *Keeper) User(ctx context.Context, id string) (*User, error) { return k.store.User(ctx, id) }

// maxPassword bounds what is hashed, minPassword what is taken.
const (
	maxPassword = 1000
	minPassword = 10
)

// goodName tells whether a user may be called so: up to 64 letters, digits and ._@+-, a letter or digit first. Broken UTF-8
// is no letter.
func goodName(name string) bool {
	n := 0
	for _, r := range name {
		if word := unicode.IsLetter(r) || unicode.IsNumber(r); !word && (n == 0 || !strings.ContainsRune("._@+-", r)) {
			return false
		}
		n++
	}
	return n > 0 && n <= 64
}

// fill checks what was typed about a user and sets the password where one is given.
func (k *Keeper) fill(u *User, password *string) error {
	u.Name = strings.TrimSpace(u.Name)
	switch {
	case !goodName(u.Name):
		return refuse("name", finding.S("a name has up to 64 letters, digits and . _ @ + -, and begins with a letter or digit", nil))
	case u.Role.rank() == 0:
		return refuse("role", finding.S("there is no role {{.Role}}", finding.Args{"Role": string(u.Role)}))
	case u.Lang != "" && u.Lang != finding.EN && u.Lang != finding.ZH:
		return refuse("lang", finding.S("unknown language {{.Lang}}", finding.Args{"Lang": string(u.Lang)}))
	case u.Theme != "" && u.Theme != "light" && u.Theme != "dark":
		return refuse("theme", finding.S("a theme is light, dark, or empty for that of the device", nil))
	}
	var domains []string
	for _, d := range u.Domains {
		d = strings.ToLower(strings.Trim(strings.TrimSpace(d), "."))
		if d == "" || len(d) > 253 || strings.ContainsAny(d, " \t/@*") {
			return refuse("domains", finding.S("{{.Name}} is no domain", finding.Args{"Name": d}))
		}
		domains = append(domains, d)
	}
	slices.Sort(domains)
	u.Domains = slices.Compact(domains)
	if u.Role == Helpdesk && len(u.Domains) == 0 {
		return refuse("domains", finding.S("a helpdesk needs the domains it answers for", nil))
	}
	if password != nil {
		switch n := utf8.RuneCountInString(*password); {
		case n < minPassword:
			return refuse("password", finding.S("a password needs {{.N}} characters or more", finding.Args{"N": minPassword}))
		case len(*password) > maxPassword:
			return refuse("password", finding.S("a password has at most {{.N}} bytes", finding.Args{"N": maxPassword}))
		case strings.EqualFold(*password, u.Name):
			return refuse("password", finding.S("the password is the name", nil))
		}
		u.Password = hashPassword(*password, k.o.Cost)
	}
	return nil
}

// Add makes a local user.
func (k *Keeper) Add(ctx context.Context, u User, password string) (*User, error) {
	u.ID, u.Created, u.Issuer, u.Subject = NewID(), k.o.Now(), "", ""
	if err := k.fill(&u, &password); err != nil {
		return nil, err
	}
	return &u, k.taken(k.store.PutUser(ctx, &u))
}

func (k *Keeper) taken(err error) error {
	if errors.Is(err, ErrTaken) {
		return &Refusal{Why: finding.S("the name is taken", nil), Field: "name", Taken: true}
	}
	return err
}

// Change is what may be changed of a user; nil fields stay.
type Change struct {
	Role     *Role
	Domains  *[]string
	Lang     *finding.Lang
	Theme    *string
	Password *string
	Disabled *bool
}

// Change changes a user. A new password, role or domain ends the user's sessions. The last admin stays one.
func (k *Keeper) Change(ctx context.Context, id string, c Change) (*User, error) {
	k.change.Lock()
	defer k.change.Unlock()
	u, err := k.store.User(ctx, id)
	if err != nil {
		return nil, err
	}
	before := *u
	set(&u.Role, c.Role)
	set(&u.Domains, c.Domains)
	set(&u.Lang, c.Lang)
	set(&u.Theme, c.Theme)
	set(&u.Disabled, c.Disabled)
	if err := k.fill(u, c.Password); err != nil {
		return nil, err
	}
	if before.Role == Admin && (u.Role != Admin || u.Disabled) {
		if err := k.notTheLast(ctx, id); err != nil {
			return nil, err
		}
	}
	if err := k.store.PutUser(ctx, u); err != nil {
		return nil, k.taken(err)
	}
	if c.Password != nil || c.Role != nil || c.Domains != nil || u.Disabled {
		err = k.store.DeleteSessions(ctx, id)
	}
	return u, err
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// Remove deletes a user with sessions and tokens. The last admin stays.
func (k *Keeper) Remove(ctx context.Context, id string) error {
	k.change.Lock()
	defer k.change.Unlock()
	u, err := k.store.User(ctx, id)
	if err != nil {
		return err
	}
	if u.Role == Admin {
		if err := k.notTheLast(ctx, id); err != nil {
			return err
		}
	}
	return k.store.DeleteUser(ctx, id)
}

func (k *Keeper) notTheLast(ctx context.Context, id string) error {
	us, err := k.store.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range us {
		if u.ID != id && u.Role == Admin && !u.Disabled {
			return nil
		}
	}
	return refuse("role", finding.S("the last admin stays: make another one first", nil))
}

// SignOn finds or makes the user whom a sign-on service vouches for. role and domains are what the service's groups say;
// they are taken over at every sign-on. A name that a local user has is not taken over.
func (k *Keeper) SignOn(ctx context.Context, issuer, subject, name string, role Role, domains []string) (*User, error) {
	k.change.Lock()
	defer k.change.Unlock()
	us, err := k.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	var u *User
	for i := range us {
		if us[i].Issuer == issuer && us[i].Subject == subject {
			u = &us[i]
		}
	}
	if u == nil {
		u = &User{ID: NewID(), Name: name, Issuer: issuer, Subject: subject, Created: k.o.Now()}
	}
	if u.Disabled {
		return nil, refuse("", finding.S("this user is disabled", nil))
	}
	u.Role, u.Domains, u.Seen = role, domains, k.o.Now()
	if err := k.fill(u, nil); err != nil {
		return nil, err
	}
	return u, k.taken(k.store.PutUser(ctx, u))
}

// NewToken makes an API token for the user; the plain secret is told this once.
func (k *Keeper) NewToken(ctx context.Context, u *User, name string, role Role, life time.Duration) (plain string, t *Token, err error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 100 {
		return "", nil, refuse("name", finding.S("a token needs a name of up to 100 characters", nil))
	}
	if role == "" {
		role = u.Role
	}
	if role.rank() == 0 {
		return "", nil, refuse("role", finding.S("there is no role {{.Role}}", finding.Args{"Role": string(role)}))
	}
	if u.Role.AtMost(role) == Helpdesk && len(u.Domains) == 0 {
		return "", nil, refuse("role", finding.S("a helpdesk needs the domains it answers for", nil))
	}
	if have, err := k.store.Tokens(ctx, u.ID); err != nil {
		return "", nil, err
	} else if len(have) >= maxTokens {
		return "", nil, refuse("", finding.S("a user has at most {{.N}} tokens", finding.Args{"N": maxTokens}))
	}
	p, hash := secret()
	t = &Token{ID: NewID(), Hash: hash, User: u.ID, Name: name, Role: u.Role.AtMost(role), Created: k.o.Now()}
	if life > 0 {
		t.Until = t.Created.Add(life)
	}
	plain = fmt.Sprintf("mwy_%s", p)
	t.Hash = hashOf(plain)
	return plain, t, k.store.PutToken(ctx, t)
}

const maxTokens = 50

// Tokens lists the tokens of a user, of all where user is "".
func (k *Keeper) Tokens(ctx context.Context, user string) ([]Token, error) {
	return k.store.Tokens(ctx, user)
}

// RemoveToken ends a token. Where by may not keep users, it must be by's own.
func (k *Keeper) RemoveToken(ctx context.Context, by *User, id string) (*Token, error) {
	owner := by.ID
	if by.May(KeepUsers) {
		owner = ""
	}
	ts, err := k.store.Tokens(ctx, owner)
	if err != nil {
		return nil, err
	}
	for i := range ts {
		if ts[i].ID == id {
			return &ts[i], k.store.DeleteToken(ctx, id)
		}
	}
	return nil, ErrNone
}
