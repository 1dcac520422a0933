package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Propose is the part of a definition that asks for an action after failures.
type Propose struct {
	After     int    `toml:"after,omitempty" json:"after,omitempty"` // failures in a row; 0: as many as open the incident
	Action    Action `toml:"action" json:"action"`
	Target    string `toml:"target" json:"target"`               // an address, or "owner TYPE" of a record
	Old       string `toml:"old,omitempty" json:"old,omitempty"` // the record's value as it is
	New       string `toml:"new,omitempty" json:"new,omitempty"` // and as it should become
	For       Span   `toml:"for" json:"for"`                     // how long it holds once approved
	Automatic bool   `toml:"automatic,omitempty" json:"automatic,omitempty"`
}

// Action is what may be proposed.
type Action string

// The actions.
const (
	BlockAddress Action = "block-address"
	LowerTTL     Action = "lower-ttl"
	MXPreference Action = "mx-preference"
)

// Actions lists them.
func Actions() []string {
	return []string{string(BlockAddress), string(LowerTTL), string(MXPreference)}
}

// ProposalState is how far a proposal got.
type ProposalState string

// The states. A proposal nobody decides expires; one that was approved ends.
const (
	ProposalOpen     ProposalState = "open"
	ProposalApproved ProposalState = "approved"
	ProposalRefused  ProposalState = "refused"
	ProposalExpired  ProposalState = "expired"
	ProposalEnded    ProposalState = "ended"
)

// Proposal is an action with its evidence, waiting for somebody.
type Proposal struct {
	ID        string         `json:"id"`
	Monitor   string         `json:"monitor"`
	Incident  string         `json:"incident,omitempty"`
	At        time.Time      `json:"at"`
	Action    Action         `json:"action"`
	Title     Said           `json:"title"`
	Text      Said           `json:"text"` // why
	Steps     []finding.Step `json:"steps"`
	Undo      []finding.Step `json:"undo"`
	Evidence  []string       `json:"evidence,omitempty"`
	Hash      string         `json:"hash"` // of action, steps, undo and For: what is approved is exactly this
	For       Span           `json:"for"`
	Expires   time.Time      `json:"expires"`        // undecided until then, it falls
	Until     time.Time      `json:"until,omitzero"` // approved: when it is taken back
	State     ProposalState  `json:"state"`
	Automatic bool           `json:"automatic,omitempty"`
	By        string         `json:"by,omitempty"` // who decided
	Decided   time.Time      `json:"decided,omitzero"`
	Note      string         `json:"note,omitempty"`
}

// ErrOverwritten says that what was done is not there any more to be taken back.
var ErrOverwritten = errors.New("nothing to take back")

// Applier carries out what was approved, and takes it back at its end. It refuses what it cannot do with an error; an
// ErrOverwritten of Undo ends the proposal all the same, any other lets it be tried again.
type Applier interface {
	Apply(ctx context.Context, p *Proposal) error
	Undo(ctx context.Context, p *Proposal) error
}

// proposalLife is how long a proposal waits for somebody.
const proposalLife = 72 * time.Hour

// propose makes the proposal of a definition out of what was observed.
func (d *Definition) propose(s *State, o *Observation) *Proposal {
	w := d.Propose
	p := &Proposal{
		ID: s.Incident + "-" + string(w.Action), Monitor: d.ID, Incident: s.Incident, At: o.At, Action: w.Action, Text: o.Text,
		For: w.For, Expires: o.At.Add(proposalLife), State: ProposalOpen, Automatic: w.Automatic,
	}
	args := finding.Args{"Target": w.Target, "Old": w.Old, "New": w.New, "For": w.For.D()}
	owner, _, _ := strings.Cut(w.Target, " ")
	switch w.Action {
	case BlockAddress:
		p.Title = Say(finding.S("Block {{.Target}} for {{.For}}", args))
		p.Steps = []finding.Step{{Kind: finding.Configure, Target: "blocklist", New: w.Target}}
		p.Undo = []finding.Step{{Kind: finding.Configure, Target: "blocklist", Old: w.Target}}
	case LowerTTL:
		p.Title = Say(finding.S("Lower the TTL of {{.Target}} to {{.New}} for {{.For}}", args))
	case MXPreference:
		args["Target"] = owner
		p.Title = Say(finding.S("Change the MX of {{.Target}} from {{.Old}} to {{.New}} for {{.For}}", args))
	}
	if w.Action != BlockAddress {
		p.Steps = []finding.Step{{Kind: finding.DNSReplace, Target: w.Target, Old: w.Old, New: w.New}}
		p.Undo = []finding.Step{{Kind: finding.DNSReplace, Target: w.Target, Old: w.New, New: w.Old}}
	}
	for i := range o.Causes {
		p.Evidence = append(p.Evidence, o.Causes[i].Text.EN)
		p.Evidence = append(p.Evidence, o.Causes[i].Evidence...)
	}
	p.Evidence = p.Evidence[:min(len(p.Evidence), 20)]
	p.Hash = p.hash()
	return p
}

// hash binds an approval to what was shown.
func (p *Proposal) hash() string {
	raw, _ := json.Marshal(struct { // plain strings and a span: cannot fail
		Action Action
		Steps  []finding.Step
		Undo   []finding.Step
		For    Span
	}{p.Action, p.Steps, p.Undo, p.For})
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// check says what is wrong with the wish.
func (w *Propose) check() finding.Sentence {
	switch {
	case w.Action != BlockAddress && w.Action != LowerTTL && w.Action != MXPreference:
		return finding.S("unknown action {{.Word}}: one of {{list .All}}", finding.Args{"Word": string(w.Action), "All": Actions()})
	case w.Target == "":
		return finding.S("a proposal wants a target", nil)
	case w.Action != BlockAddress && (w.Old == "" || w.New == ""):
		return finding.S("a proposal that changes a record wants old and new", nil)
	case w.Action == LowerTTL && !lower(w.New, w.Old):
		return finding.S("lower-ttl wants the TTL as it is in old and a smaller one in new, in seconds", nil)
	case w.Action == LowerTTL && !strings.Contains(w.Target, " "):
		return finding.S("lower-ttl wants the owner and the type of the records, such as \"mine.example MX\"", nil)
	case w.Action == MXPreference && (!mxValue(w.Old) || !mxValue(w.New)):
		return finding.S("mx-preference wants preference and host in old and new, such as \"10 mx1.mine.example\"", nil)
	case w.For.D() <= 0:
		return finding.S("a proposal wants an end: give for, such as \"24h\"", nil)
	}
	return finding.Sentence{}
}

func lower(a, b string) bool {
	x, err1 := strconv.ParseUint(a, 10, 31)
	y, err2 := strconv.ParseUint(b, 10, 31)
	return err1 == nil && err2 == nil && x < y
}

func mxValue(s string) bool {
	words := strings.Fields(s)
	if len(words) != 2 {
		return false
	}
	_, err := strconv.ParseUint(words[0], 10, 16)
	_, bad := domainName(words[1])
	return err == nil && bad.IsZero()
}
