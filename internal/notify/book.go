package notify

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Shelf remembers channels that were made while mailwhy runs. Its methods are safe for concurrent use.
type Shelf interface {
	// Channels lists them by ID. Secrets are references ("kept:NAME"), as in PutChannel.
	Channels(ctx context.Context) ([]Channel, error)
	// PutChannel stores a channel in the place of the one with its ID. secrets are new values by key (hook, secret,
	// password): each is stored where only its owner can read it, and the channel's field becomes the reference to it. What
	// no channel refers to any more is deleted.
	PutChannel(ctx context.Context, c *Channel, secrets map[string]string) error
	DropChannel(ctx context.Context, id string) error
	// ChannelSecret gives the value behind a reference.
	ChannelSecret(ref Secret) (string, error)
}

// Errors of a Book.
var (
	ErrNone  = errors.New("there is no such channel")
	ErrTaken = errors.New("there is a channel of that name")
	ErrFile  = errors.New("the channel stands in the configuration file: it is changed there")
)

// Entry is a channel as it may be shown: no secret is in it.
type Entry struct {
	Channel  Channel  // Hook, Secret and Password are empty
	Editable bool     // made while mailwhy runs; one of the configuration file is changed there
	Secrets  []string // keys that have a secret: hook, secret, password
}

// Book is the list of channels: those of the configuration file, which win, and those made while mailwhy runs. What it
// changes its Dispatcher uses at once. Its methods are safe for concurrent use.
type Book struct {
	shelf Shelf
	to    *Dispatcher
	mu    sync.Mutex // of changes
	file  []Channel
	made  []Channel
}

// NewBook makes the book of a dispatcher. doors are what channels of the shelf may touch, which may be less than those of
// the configuration file may; their Secret is not used.
func NewBook(ctx context.Context, shelf Shelf, to *Dispatcher, doors *Doors, file *Config) (*Book, error) {
	own := *doors
	own.Secret = shelf.ChannelSecret
	to.mu.Lock()
	to.made = &own
	to.mu.Unlock()
	b := &Book{shelf: shelf, to: to}
	return b, b.Reload(ctx, file)
}

// Reload takes a new configuration file and reads the shelf again.
func (b *Book) Reload(ctx context.Context, file *Config) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.file = slices.Clone(file.Channel)
	return b.read(ctx)
}

// read takes what the shelf has; the lock is held.
func (b *Book) read(ctx context.Context) error {
	made, err := b.shelf.Channels(ctx)
	if err != nil {
		return err
	}
	b.made = slices.DeleteFunc(made, func(c Channel) bool { return find(b.file, c.ID) != nil })
	for i := range b.made {
		b.made[i].Made = true
	}
	b.to.Reload(&Config{Channel: slices.Concat(b.file, b.made)})
	return nil
}

func find(list []Channel, id string) *Channel {
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}

// entry takes the secrets out of a channel.
func entry(c Channel) Entry {
	e := Entry{Editable: c.Made}
	refs := c.Refs()
	for _, key := range slices.Sorted(maps.Keys(refs)) {
		if *refs[key] != "" {
			e.Secrets = append(e.Secrets, key)
			*refs[key] = ""
		}
	}
	c.Monitors, c.To = slices.Clone(c.Monitors), slices.Clone(c.To)
	e.Channel = c
	return e
}

// List lists every channel: those of the file in its order, then the others by ID.
func (b *Book) List() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Entry
	for _, c := range slices.Concat(b.file, b.made) {
		out = append(out, entry(c))
	}
	return out
}

// Find finds one; ErrNone where there is none.
func (b *Book) Find(id string) (Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := find(slices.Concat(b.file, b.made), id); c != nil {
		return entry(*c), nil
	}
	return Entry{}, ErrNone
}

// Add makes a channel. secrets are values by key. The problems are what is wrong with it, by key; then nothing is made.
func (b *Book) Add(ctx context.Context, c Channel, secrets map[string]string) ([]Problem, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if find(b.file, c.ID) != nil || find(b.made, c.ID) != nil {
		return nil, ErrTaken
	}
	for _, ref := range c.Refs() {
		*ref = ""
	}
	return b.put(ctx, c, secrets)
}

// Change changes a channel that was made here. A secret that is not named stays; one that is empty is taken away. Another
// kind keeps none.
func (b *Book) Change(ctx context.Context, c Channel, secrets map[string]string) ([]Problem, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, err := b.own(c.ID)
	if err != nil {
		return nil, err
	}
	for key, ref := range c.Refs() {
		*ref = ""
		if value, named := secrets[key]; old.Kind == c.Kind && !(named && value == "") {
			*ref = *old.Refs()[key]
		}
	}
	return b.put(ctx, c, secrets)
}

// own finds one that may be changed; the lock is held.
func (b *Book) own(id string) (*Channel, error) {
	if find(b.file, id) != nil {
		return nil, ErrFile
	}
	if c := find(b.made, id); c != nil {
		return c, nil
	}
	return nil, ErrNone
}

// unsaid stands for a secret that is about to be stored, so that the rest can be checked before.
const unsaid = kept + "new"

func (b *Book) put(ctx context.Context, c Channel, secrets map[string]string) ([]Problem, error) {
	c.Made = true
	fresh := map[string]string{}
	var bad []Problem
	at := func(key string, s finding.Sentence) { bad = append(bad, Problem{[]any{key}, s}) }
	refs := c.Refs()
	for key, value := range secrets {
		switch {
		case refs[key] == nil:
			at(key, finding.S("there is no secret {{.Name}}: one of {{list .All}}", finding.Args{"Name": key, "All": slices.Sorted(maps.Keys(refs))}))
		case value == "":
		case len(value) > maxSecret || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }):
			at(key, finding.S("a secret is one line of at most {{.N}} bytes", finding.Args{"N": maxSecret}))
		case key == "hook" && httpURL(value) == nil:
			at(key, finding.S("it is no address that begins with https:// or http://", nil)) // and is not repeated here
		default:
			fresh[key], *refs[key] = value, unsaid
		}
	}
	if !idPattern.MatchString(c.ID) {
		at("id", badID(c.ID))
	}
	c.check(at)
	if len(bad) > 0 {
		return bad, nil
	}
	if err := b.shelf.PutChannel(ctx, &c, fresh); err != nil {
		return nil, err
	}
	return nil, b.read(ctx)
}

// maxSecret bounds a secret, in bytes.
const maxSecret = 4 << 10

// Remove forgets a channel that was made here, and its secrets. What still waits for it is given up when its time is over.
func (b *Book) Remove(ctx context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.own(id); err != nil {
		return err
	}
	if err := b.shelf.DropChannel(ctx, id); err != nil {
		return err
	}
	return b.read(ctx)
}

// Test sends a test message to a channel now, past the outbox. The error is what the service said, without secrets.
func (b *Book) Test(ctx context.Context, id string) error {
	b.mu.Lock()
	c := find(slices.Concat(b.file, b.made), id)
	b.mu.Unlock()
	if c == nil {
		return ErrNone
	}
	return Try(ctx, c, b.to.doorsOf(c))
}
