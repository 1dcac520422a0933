package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dnsupdate"
)

// UpdateConfig is a [[dns_update]]: a zone whose records approved proposals may change, by dynamic update.
type UpdateConfig struct {
	Zone    string `toml:"zone"`
	Server  string `toml:"server"`   // the primary: host or host:port
	KeyFile string `toml:"key_file"` // as tsig-keygen writes it
}

// check says what is wrong with it, by key.
func (c *UpdateConfig) check(bad func(key string, says finding.Sentence)) {
	if !dnsupdate.Below(c.Zone, c.Zone) {
		bad("zone", finding.S("{{.Name}} is not a domain", finding.Args{"Name": c.Zone}))
	}
	if _, err := c.address(); err != nil {
		bad("server", finding.S("{{.Name}} is no host:port", finding.Args{"Name": c.Server}))
	}
	if c.KeyFile == "" {
		bad("key_file", finding.S("a dynamic update wants a key: give the file that tsig-keygen wrote", nil))
	}
}

func (c *UpdateConfig) address() (string, error) {
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		if host, port = strings.Trim(c.Server, "[]"), "53"; strings.ContainsAny(host, " /@[]") || host == "" {
			return "", err
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return "", errors.New("no port")
	}
	return net.JoinHostPort(host, port), nil
}

// hands carry out what was approved: they block an address on the desk, and change a record where the configuration says
// how. What they cannot do is left to people.
type hands struct {
	app   *app
	state *sqlite.State
	data  string
	more  change.Config // [desk] of the configuration
	now   func() time.Time
	note  func(what, target, detail string) // into the audit log; nil: nowhere
	dial  wire.Dialer                       // nil: the machine's own

	mu      sync.Mutex
	updates []UpdateConfig
}

func (h *hands) reload(updates []UpdateConfig) {
	h.mu.Lock()
	h.updates = updates
	h.mu.Unlock()
}

// Does tells whether a proposal is carried out by us; the others are by people.
func (h *hands) Does(p *monitor.Proposal) bool {
	return p.Action == monitor.BlockAddress || h.zoneOf(p) != nil
}

// zoneOf finds the zone of a proposal that changes a record: the longest that holds its owner.
func (h *hands) zoneOf(p *monitor.Proposal) *UpdateConfig {
	if len(p.Steps) != 1 || p.Steps[0].Kind != finding.DNSReplace {
		return nil
	}
	owner, _, _ := strings.Cut(p.Steps[0].Target, " ")
	h.mu.Lock()
	defer h.mu.Unlock()
	var best *UpdateConfig
	for i := range h.updates {
		u := h.updates[i]
		if dnsupdate.Below(owner, u.Zone) && (best == nil || len(u.Zone) > len(best.Zone)) {
			best = &u
		}
	}
	return best
}

// Apply does what was approved. What stands in the way is an error, and nothing was changed then.
func (h *hands) Apply(ctx context.Context, p *monitor.Proposal) (err error) {
	switch z := h.zoneOf(p); {
	case p.Action == monitor.BlockAddress:
		err = h.block(ctx, p)
	case z != nil:
		err = h.replace(ctx, z, p, &p.Steps[0])
	default:
		return nil // by people; the proposal keeps the steps
	}
	h.tell("proposal.apply", p, err)
	return err
}

// Undo takes back what was done. Entries of the desk end by themselves.
func (h *hands) Undo(ctx context.Context, p *monitor.Proposal) (err error) {
	z := h.zoneOf(p)
	if z == nil || len(p.Undo) != 1 {
		return nil
	}
	if err = h.replace(ctx, z, p, &p.Undo[0]); errors.Is(err, errMovedOn) {
		err = fmt.Errorf("%w: %w", monitor.ErrOverwritten, err)
	}
	h.tell("proposal.undo", p, err)
	return err
}

func (h *hands) tell(what string, p *monitor.Proposal, err error) {
	if h.note == nil {
		return
	}
	detail := p.Title.EN
	if err != nil {
		detail += ": " + err.Error()
	}
	h.note(what, p.ID, detail)
}

// errMovedOn says that a record is not what a step begins with.
var errMovedOn = errors.New("the record was changed by somebody else")

// replace carries out one step of a record. A TTL is that of all records of the owner and type; else one record's value
// takes the place of another.
func (h *hands) replace(ctx context.Context, z *UpdateConfig, p *monitor.Proposal, step *finding.Step) error {
	address, err := z.address()
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(z.KeyFile)
	if err != nil {
		return err
	}
	key, err := dnsupdate.ReadKey(string(raw))
	if err != nil {
		return fmt.Errorf("%s: %w", z.KeyFile, err)
	}
	s := &dnsupdate.Server{Address: address, Zone: z.Zone, Key: key, Dial: h.dial}
	owner, kind, ok := strings.Cut(step.Target, " ")
	if !ok && p.Action == monitor.MXPreference {
		kind = "MX"
	}
	old, err := s.Read(ctx, owner, cmp.Or(kind, "MX"))
	if err != nil {
		return err
	}
	fresh, err := changed(old, p.Action, step)
	if err != nil {
		return err
	}
	if err = s.Replace(ctx, old, fresh); errors.Is(err, dnsupdate.ErrChanged) {
		err = fmt.Errorf("%w: %w", errMovedOn, err)
	}
	return err
}

// changed is what a set of records becomes by a step.
func changed(old *dnsupdate.Set, action monitor.Action, step *finding.Step) (*dnsupdate.Set, error) {
	fresh := *old
	fresh.Values = slices.Clone(old.Values)
	if len(old.Values) == 0 {
		return nil, fmt.Errorf("%w: %s has no record now", errMovedOn, step.Target)
	}
	if action == monitor.LowerTTL {
		from, err1 := strconv.ParseUint(step.Old, 10, 31)
		to, err2 := strconv.ParseUint(step.New, 10, 31)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if old.TTL != uint32(from) {
			return nil, fmt.Errorf("%w: the TTL of %s is %d, not %s", errMovedOn, step.Target, old.TTL, step.Old)
		}
		fresh.TTL = uint32(to)
		return &fresh, nil
	}
	i := slices.IndexFunc(old.Values, func(v string) bool { return sameValue(v, step.Old) })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s is not among the records of %s: %s", errMovedOn, step.Old, step.Target, strings.Join(old.Values, ", "))
	}
	fresh.Values[i] = dotted(step.New)
	return &fresh, nil
}

// sameValue compares values of a record without the case and the final dot of names.
func sameValue(a, b string) bool { return strings.EqualFold(dotted(a), dotted(b)) }

// dotted ends the name of an MX value with a dot.
func dotted(v string) string {
	return strings.Join(strings.Fields(strings.TrimSuffix(v, ".")), " ") + "."
}

// block puts the address on the desk; what the guard protects is refused.
func (h *hands) block(ctx context.Context, p *monitor.Proposal) error {
	d, err := h.app.deskOf(h.state, h.data, h.more, h.now)
	if err != nil {
		return err
	}
	e, obs, err := d.Propose(ctx, change.Proposal{What: p.Steps[0].New, Reason: p.Text.EN, Evidence: p.Evidence, By: "monitor " + p.Monitor, Until: p.Until})
	switch {
	case err != nil:
		return err
	case e == nil && len(obs) > 0:
		return errors.New("the guard protects " + p.Steps[0].New)
	case e.State(h.now()) != change.Proposed:
		return nil // there already
	}
	if e, _, err = d.Decide(ctx, e.ID, p.By, true, "proposal "+p.ID); err == nil && e.State(h.now()) != change.Active {
		err = errors.New("the guard protects " + p.Steps[0].New)
	}
	return err
}
