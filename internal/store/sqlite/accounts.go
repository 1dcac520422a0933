package sqlite

import (
	"context"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// accountsSchema holds users, sessions and tokens. Times are Unix milliseconds, 0 for none; domains are joined by blanks.
const accountsSchema = `
CREATE TABLE users (
	id TEXT PRIMARY KEY, name TEXT NOT NULL, low TEXT NOT NULL UNIQUE, role TEXT NOT NULL, domains TEXT NOT NULL, lang TEXT NOT NULL, theme TEXT NOT NULL,
	password TEXT NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL, disabled INTEGER NOT NULL, created INTEGER NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (
	hash TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, address TEXT NOT NULL,
	created INTEGER NOT NULL, seen INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions(user);
CREATE TABLE tokens (
	id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, name TEXT NOT NULL, role TEXT NOT NULL,
	created INTEGER NOT NULL, used INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_user ON tokens(user);`

var _ access.Store = (*State)(nil)

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

const userColumns = "id, name, role, domains, lang, theme, password, issuer, subject, disabled, created, seen"

func readUser(st *sqlite.Stmt) access.User {
	return access.User{
		ID: st.ColumnText(0), Name: st.ColumnText(1), Role: access.Role(st.ColumnText(2)), Domains: strings.Fields(st.ColumnText(3)),
		Lang: finding.Lang(st.ColumnText(4)), Theme: st.ColumnText(5), Password: st.ColumnText(6), Issuer: st.ColumnText(7), Subject: st.ColumnText(8),
		Disabled: st.ColumnInt(9) != 0, Created: fromMilli(st.ColumnInt64(10)), Seen: fromMilli(st.ColumnInt64(11)),
	}
}

// rows reads the rows of a query with a function per row.
func rows[T any](ctx context.Context, s *State, read func(*sqlite.Stmt) T, query string, args ...any) (out []T, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
			out = append(out, read(st))
			return nil
		}})
	})
	return out, err
}

// one reads the one row of a query, or gives none.
func one[T any](ctx context.Context, s *State, none error, read func(*sqlite.Stmt) T, query string, args ...any) (*T, error) {
	out, err := rows(ctx, s, read, query, args...)
	if err == nil && len(out) == 0 {
		err = none
	}
	if err != nil {
		return nil, err
	}
	return &out[0], nil
}

// exec runs one statement in a transaction of its own.
func (s *State) exec(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: args})
	})
}

// Users lists the users.
func (s *State) Users(ctx context.Context) ([]access.User, error) {
	return rows(ctx, s, readUser, "SELECT "+userColumns+" FROM users ORDER BY low")
}

// User finds a user by ID.
func (s *State) User(ctx context.Context, id string) (*access.User, error) {
	return one(ctx, s, access.ErrNone, readUser, "SELECT "+userColumns+" FROM users WHERE id = ?", id)
}

// UserByName finds a user by name, whatever its case.
func (s *State) UserByName(ctx context.Context, name string) (*access.User, error) {
	return one(ctx, s, access.ErrNone, readUser, "SELECT "+userColumns+" FROM users WHERE low = ?", strings.ToLower(name))
}

const putUser = `INSERT INTO users (id, name, low, role, domains, lang, theme, password, issuer, subject, disabled, created, seen) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
	ON CONFLICT (id) DO UPDATE SET name=excluded.name, low=excluded.low, role=excluded.role, domains=excluded.domains, lang=excluded.lang, theme=excluded.theme,
	password=excluded.password, issuer=excluded.issuer, subject=excluded.subject, disabled=excluded.disabled, seen=excluded.seen`

func userArgs(u *access.User) []any {
	return []any{u.ID, u.Name, strings.ToLower(u.Name), string(u.Role), strings.Join(u.Domains, " "), string(u.Lang), u.Theme, u.Password, u.Issuer, u.Subject, u.Disabled, milli(u.Created), milli(u.Seen)}
}

// taken turns a broken UNIQUE into ErrTaken.
func taken(err error) error {
	if sqlite.ErrCode(err) == sqlite.ResultConstraintUnique {
		return access.ErrTaken
	}
	return err
}

// PutUser makes or changes a user.
func (s *State) PutUser(ctx context.Context, u *access.User) error {
	return taken(s.exec(ctx, putUser, userArgs(u)...))
}

// FirstUser makes a user where there is none at all.
func (s *State) FirstUser(ctx context.Context, u *access.User) error {
	return taken(s.write(ctx, func(c *sqlite.Conn) error {
		n := 0
		err := sqlitex.Execute(c, "SELECT count(*) FROM users", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
			n = st.ColumnInt(0)
			return nil
		}})
		if err == nil && n > 0 {
			err = access.ErrTaken
		}
		if err != nil {
			return err
		}
		return sqlitex.Execute(c, putUser, &sqlitex.ExecOptions{Args: userArgs(u)})
	}))
}

// DeleteUser removes a user with sessions and tokens.
func (s *State) DeleteUser(ctx context.Context, id string) error {
	return s.exec(ctx, "DELETE FROM users WHERE id = ?", id)
}

// SawUser notes a sign-in.
func (s *State) SawUser(ctx context.Context, id string, at time.Time) error {
	return s.exec(ctx, "UPDATE users SET seen = ? WHERE id = ?", milli(at), id)
}

// SawSession notes that a session is used; one that ended meanwhile stays ended.
func (s *State) SawSession(ctx context.Context, hash string, at time.Time) error {
	return s.exec(ctx, "UPDATE sessions SET seen = ? WHERE hash = ?", milli(at), hash)
}

// SawToken notes that a token is used; one that was removed meanwhile stays away.
func (s *State) SawToken(ctx context.Context, id string, at time.Time) error {
	return s.exec(ctx, "UPDATE tokens SET used = ? WHERE id = ?", milli(at), id)
}

// PutSession makes or changes a session. One whose user is gone is access.ErrNone.
func (s *State) PutSession(ctx context.Context, x *access.Session) error {
	err := s.exec(ctx, "INSERT OR REPLACE INTO sessions VALUES (?,?,?,?,?,?)", x.Hash, x.User, x.Address, milli(x.Created), milli(x.Seen), milli(x.Until))
	if sqlite.ErrCode(err) == sqlite.ResultConstraintForeignKey {
		return access.ErrNone
	}
	return err
}

// Session finds a session by the hash of its cookie.
func (s *State) Session(ctx context.Context, hash string) (*access.Session, error) {
	return one(ctx, s, access.ErrNone, func(st *sqlite.Stmt) access.Session {
		return access.Session{
			Hash: st.ColumnText(0), User: st.ColumnText(1), Address: st.ColumnText(2),
			Created: fromMilli(st.ColumnInt64(3)), Seen: fromMilli(st.ColumnInt64(4)), Until: fromMilli(st.ColumnInt64(5)),
		}
	}, "SELECT hash, user, address, created, seen, until FROM sessions WHERE hash = ?", hash)
}

// DeleteSession ends a session.
func (s *State) DeleteSession(ctx context.Context, hash string) error {
	return s.exec(ctx, "DELETE FROM sessions WHERE hash = ?", hash)
}

// DeleteSessions ends all sessions of a user.
func (s *State) DeleteSessions(ctx context.Context, user string) error {
	return s.exec(ctx, "DELETE FROM sessions WHERE user = ?", user)
}

// SweepSessions removes what ended before now and what was not used since idle.
func (s *State) SweepSessions(ctx context.Context, now, idle time.Time) error {
	return s.exec(ctx, "DELETE FROM sessions WHERE until < ? OR seen < ?", milli(now), milli(idle))
}

func readToken(st *sqlite.Stmt) access.Token {
	return access.Token{
		ID: st.ColumnText(0), Hash: st.ColumnText(1), User: st.ColumnText(2), Name: st.ColumnText(3), Role: access.Role(st.ColumnText(4)),
		Created: fromMilli(st.ColumnInt64(5)), LastUsed: fromMilli(st.ColumnInt64(6)), Until: fromMilli(st.ColumnInt64(7)),
	}
}

const tokenColumns = "id, hash, user, name, role, created, used, until"

// PutToken makes or changes a token.
func (s *State) PutToken(ctx context.Context, t *access.Token) error {
	return s.exec(ctx, "INSERT OR REPLACE INTO tokens ("+tokenColumns+") VALUES (?,?,?,?,?,?,?,?)", t.ID, t.Hash, t.User, t.Name, string(t.Role), milli(t.Created), milli(t.LastUsed), milli(t.Until))
}

// Token finds a token by its hash.
func (s *State) Token(ctx context.Context, hash string) (*access.Token, error) {
	return one(ctx, s, access.ErrNone, readToken, "SELECT "+tokenColumns+" FROM tokens WHERE hash = ?", hash)
}

// Tokens lists the tokens of a user, of all where user is "".
func (s *State) Tokens(ctx context.Context, user string) ([]access.Token, error) {
	return rows(ctx, s, readToken, "SELECT "+tokenColumns+" FROM tokens WHERE ?1 = '' OR user = ?1 ORDER BY created, id", user)
}

// DeleteToken ends a token.
func (s *State) DeleteToken(ctx context.Context, id string) error {
	return s.exec(ctx, "DELETE FROM tokens WHERE id = ?", id)
}
