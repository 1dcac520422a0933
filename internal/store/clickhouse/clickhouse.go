// Package clickhouse remembers log text on a ClickHouse server or cluster: beyond one machine, the store of several
// `mailwhy serve` that take logs in, while any of them answers.
//
// Promise: it is found again exactly as in the embedded store (storetest holds both to it); what Commit said is stored is on
// a server's disk and announced to its replicas; a batch that comes twice is stored once, also where a server died while
// it took it and another one is asked. With one replica of each shard alive, writing and reading go on.
//
// The SQL is what servers of 2018 (18.16, Debian's) and of today take: no server-side parameters, no TTL clause (old
// partitions are dropped instead), no codecs (text is packed here), no MATERIALIZED columns. It was run against 18.16.1;
// on newer servers it was not tried.
//
// A source of logs has one writer: several intakes of one cluster tell their sources apart by intake.Options.Node.
package clickhouse

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/klauspost/compress/zstd"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Options say how a store is used. The zero value of a field is good, but for Dialects.
type Options struct {
	Dialects []logs.Dialect  // who reads the lines
	Local    *time.Location  // zone of times that name none; nil: UTC
	Know     *knowledge.Base // tells causes and providers for the numbers; nil: none are told
	Now      func() time.Time
	Password string        // takes the place of the URL's, where others could read that
	ReadOnly bool          // tables are not made, and Commit refuses
	Lease    time.Duration // how long a claim outlives its holder; 0: 30 s
}

// Store is the journeys on a server or cluster. Its methods are safe for concurrent use.
type Store struct {
	opt     Options
	conn    driver.Conn
	db      string
	cluster string // "": one server
	quorum  int    // replicas that must have an insert before it is done; 0: one
	user    string
	secret  string
	dec     *zstd.Decoder
	texts   texts
	w       *writer
	claims  claims
}

// Alive asks whether a server of the store answers. A connection that broke meanwhile is not the last word.
func (s *Store) Alive(ctx context.Context) (err error) {
	for range 3 {
		if err = s.conn.Ping(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Prefix is how the URL of a store begins.
const Prefix = "clickhouse://"

// Errors of opening a store and writing to it.
var (
	ErrURL      = errors.New("want clickhouse://user@host:9000,host:9000/database?cluster=name")
	ErrNoStore  = errors.New("the servers hold no store of that name")
	ErrReadOnly = errors.New("the store was opened for reading only")
)

// Open connects, and makes the tables where there are none. The URL is clickhouse://user:password@host:9000,…/database
// with the settings of the driver as parameters (secure=true, dial_timeout=5s), and cluster=NAME for replicated and
// distributed tables on all servers of that cluster, which must have the macros shard and replica. quorum=2 lets Commit
// wait until two replicas have the lines: then they outlive the loss of a disk, and nothing is taken in while fewer are up.
func Open(ctx context.Context, dsn string, opt Options) (*Store, error) {
	if opt.Local == nil {
		opt.Local = time.UTC
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Lease == 0 {
		opt.Lease = 30 * time.Second
	}
	s := &Store{opt: opt}
	o, err := s.parse(dsn)
	if err != nil {
		return nil, err
	}
	if s.conn, err = ch.Open(o); err != nil {
		return nil, hidden(err, s.secret)
	}
	if s.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxText)); err == nil {
		err = s.makeTables(ctx)
	}
	if err != nil {
		s.conn.Close()
		return nil, hidden(err, s.secret)
	}
	s.w = newWriter(s)
	return s, nil
}

// SplitPassword takes the password out of a URL, for whoever shows it or keeps it. What is left is the same store.
func SplitPassword(dsn string) (clean, password string) {
	base, query, asked := strings.Cut(dsn, "?")
	if rest, ok := strings.CutPrefix(base, Prefix); ok {
		at := strings.LastIndexByte(rest, '@') // no host or database has one
		if user, secret, ok := strings.Cut(rest[:max(at, 0)], ":"); ok {
			base, password = Prefix+user+rest[at:], secret
			if plain, err := url.PathUnescape(secret); err == nil {
				password = plain
			}
		}
	}
	if !asked {
		return base, password
	}
	var kept []string
	for _, p := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(name); err != nil || plain != "password" {
			kept = append(kept, p)
		} else if value, err = url.QueryUnescape(value); err == nil {
			password = value
		}
	}
	if len(kept) > 0 {
		base += "?" + strings.Join(kept, "&")
	}
	return base, password
}

// parse reads the URL.
func (s *Store) parse(dsn string) (*ch.Options, error) {
	dsn, password := SplitPassword(dsn)
	base, query, _ := strings.Cut(dsn, "?")
	params, err := url.ParseQuery(query)
	if err != nil || !strings.HasPrefix(dsn, Prefix) {
		return nil, ErrURL
	}
	s.cluster = params.Get("cluster")
	params.Del("cluster")
	if q := params.Get("quorum"); q != "" {
		if s.quorum, err = strconv.Atoi(q); err != nil || s.quorum < 0 || s.quorum > 100 {
			return nil, ErrURL
		}
		params.Del("quorum")
	}
	if len(params) > 0 {
		base += "?" + params.Encode()
	}
	o, err := ch.ParseDSN(base)
	if err != nil {
		return nil, ErrURL // the driver's error shows the password
	}
	if o.Auth.Database == "" {
		o.Auth.Database = "mailwhy"
	}
	o.Auth.Password = cmp.Or(s.opt.Password, password)
	//lint:ignore SA1019 a URL can still ask for it, and it would print what is sent
	o.Debug = false
	s.db, s.user, s.secret = o.Auth.Database, o.Auth.Username, o.Auth.Password
	if s.user == "" {
		s.user = "default"
	}
	if !isName(s.db) || s.cluster != "" && !isName(s.cluster) {
		return nil, ErrURL
	}
	o.Auth.Database = "" // it may have to be made first
	o.Protocol = ch.Native
	o.ConnOpenStrategy = ch.ConnOpenRoundRobin
	o.MaxOpenConns, o.MaxIdleConns = 32, 16
	o.ReadTimeout = time.Minute // servers tell their progress more often
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.Compression == nil {
		o.Compression = &ch.Compression{Method: ch.CompressionLZ4}
	}
	return o, nil
}

// isName tells a name that needs no quotes in SQL.
func isName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// hidden takes a password out of an error, also as it stands in SQL and in URLs.
func hidden(err error, secret string) error {
	if err == nil || secret == "" {
		return err
	}
	text := err.Error()
	for _, form := range []string{secret, strings.Trim(quote(secret), "'"), url.QueryEscape(secret), url.PathEscape(secret)} {
		text = strings.ReplaceAll(text, form, "…")
	}
	if text == err.Error() {
		return err
	}
	return &hiddenError{text, err}
}

// hiddenError is an error that does not show all of its text.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }

// Is finds what the error is; the error itself is not given away.
func (e *hiddenError) Is(target error) bool { return errors.Is(e.err, target) }

// Close ends the connections.
func (s *Store) Close() error {
	s.claims.close()
	s.w.close()
	s.dec.Close()
	return s.conn.Close()
}

// tries is how often something is tried that failed for a reason that may pass: a server that died is left for another.
const tries = 6

// retry does something until it works, or fails for a reason that stays.
func retry(ctx context.Context, do func() error) error {
	var err error
	for i := range tries {
		if err = do(); err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		if perr := wire.Pause(ctx, time.Duration(i*i)*50*time.Millisecond); perr != nil {
			return errors.Join(err, perr)
		}
	}
	return err
}

// passing tells an error that another server, or the same one later, may not give.
func passing(err error) bool {
	var e *ch.Exception
	if errors.As(err, &e) {
		switch e.Code {
		case 3, // unexpected end of file
			32,  // attempt to read after the end
			202, // too many queries
			209, // a socket's time-out
			210, // network
			225, // no ZooKeeper
			242, // read-only until ZooKeeper is back
			252, // too many parts
			286, // the quorum of the insert before is not reached yet
			279, // all connections failed
			319, // it is not known whether an insert was done
			999: // ZooKeeper
			return true
		}
		return false
	}
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ch.ErrAcquireConnTimeout) || errors.Is(err, ch.ErrConnectionClosed) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || strings.Contains(err.Error(), "EOF")
}

// query runs a query and shows each row; each may be called for the same rows again where a connection breaks, after
// begin was.
func (s *Store) query(ctx context.Context, sql string, begin func(), each func(driver.Rows) error) error {
	return retry(ctx, func() error {
		if begin != nil {
			begin()
		}
		rows, err := s.conn.Query(ctx, sql)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := each(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// quote makes an SQL string of any bytes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// short is a name's hash, for what must differ.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// texts keeps pieces unpacked last, up to a number of bytes.
type texts struct {
	mu   sync.Mutex
	all  map[place]*pieceText
	size int
}

// maxTexts is how many bytes of text are kept unpacked.
const maxTexts = 64 << 20

func (t *texts) get(p place) *pieceText {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[p]
}

// clear forgets them all.
func (t *texts) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.all)
	t.size = 0
}

func (t *texts) put(p place, b *pieceText) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[place]*pieceText{}
	}
	for k, old := range t.all { // any: which one goes matters little
		if t.size+len(b.text) <= maxTexts {
			break
		}
		t.size -= len(old.text)
		delete(t.all, k)
	}
	if t.all[p] == nil {
		t.all[p] = b
		t.size += len(b.text)
	}
}
