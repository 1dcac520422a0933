package cli

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/audit"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: a.say("read and verify the record of who did and looked at what"),
		Long: a.say(`Reads the audit log of mailwhy serve: who signed in, looked at which message, ran what, changed what. Each record holds the hash of the one before.

"verify" walks the whole log and tells the first record that was changed, taken out or put in. A log cut off at its end, or written anew, is told only by a head (count:hash) that was kept elsewhere: the log of mailwhy serve has it at every start and stop.`),
		Args: a.nArgs(0, 0, "a subcommand"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.auditVerify(), a.auditShow(), a.auditProve(), a.auditKey())
	return c
}

// auditFolder adds the flag for the place of the log and gives where it is.
func (a *app) auditFolder(c *cobra.Command) func() string {
	data := ""
	c.Flags().StringVar(&data, "data", "", a.say("folder of everything that is remembered"))
	return func() string {
		if data == "" {
			return a.dataFolder()
		}
		return data
	}
}

// auditFile adds the flag for the place of the log and gives what opens it.
func (a *app) auditFile(c *cobra.Command) func() (*os.File, error) {
	folder := a.auditFolder(c)
	return func() (*os.File, error) {
		name := filepath.Join(folder(), "audit.log")
		f, err := os.Open(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		return f, nil
	}
}

func (a *app) auditVerify() *cobra.Command {
	var kept, key, proof string
	c := &cobra.Command{Use: "verify", Short: a.say("tell whether any record was changed, taken out, put in or cut off, and whether signatures hold"), Args: cobra.NoArgs}
	folder := a.auditFolder(c)
	c.Flags().StringVar(&kept, "head", "", a.say("count:hash that was kept elsewhere: it must lie on the chain"))
	c.Flags().StringVar(&key, "key", "", a.say("file with the public keys that may sign (default: audit.pub of the folder)"))
	c.Flags().StringVar(&proof, "proof", "", a.say("verify this file of \"mailwhy audit prove\" instead of a log; it needs nothing else but the key"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		var head audit.Head
		if kept != "" {
			var err error
			if head, err = audit.ParseHead(kept); err != nil {
				return usage(finding.S("{{.Text}} is no head of an audit log", finding.Args{"Text": shorten(kept)}), finding.S("it looks like 1234:9f86d081…, with 64 digits", nil))
			}
		}
		keys, err := readKeys(key, folder())
		if err != nil {
			return err
		}
		a.begin(cmd)
		name := cmp.Or(proof, filepath.Join(folder(), "audit.log"))
		f, err := os.Open(name)
		if err != nil {
			return unreadable(name, err)
		}
		defer f.Close()
		if proof != "" {
			return a.showProof(name, f, keys)
		}
		return a.show(auditReport(name, f, head, keys))
	}
	return c
}

// readKeys reads public keys: of the file that was named, or those of the folder, which may have none yet.
func readKeys(file, folder string) ([]ed25519.PublicKey, error) {
	name := cmp.Or(file, filepath.Join(folder, audit.PublicFile))
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) && file == "" {
		return nil, nil
	}
	var keys []ed25519.PublicKey
	if err == nil {
		keys, err = audit.ParseKeys(raw)
	}
	if err != nil {
		return nil, unreadable(name, err)
	}
	return keys, nil
}

func (a *app) auditKey() *cobra.Command {
	c := &cobra.Command{Use: "key", Short: a.say("print the public keys that signed records, as PEM, for whoever verifies them"), Args: cobra.NoArgs}
	folder := a.auditFolder(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		a.begin(cmd)
		name := filepath.Join(folder(), audit.PublicFile)
		raw, err := os.ReadFile(name)
		if err == nil {
			_, err = audit.ParseKeys(raw)
		}
		if err != nil {
			return unreadable(name, err)
		}
		_, err = a.out.Write(raw)
		return err
	}
	return c
}

var (
	ruleAuditChain = &finding.Rule{ID: "audit.chain", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "The records of the audit log hang together",
		OK:     "{{.N}} {{plural .N \"record\" \"records\"}} hang together",
		Says:   "the chain of the audit log is broken at line {{.Line}}",
		Why:    "Every record holds the hash of the one before: somebody changed, took out or put in a record there, or the disk did.",
		Repair: "Keep the file as it is and compare it with a backup; what stands before line {{.Line}} still holds."}
	ruleAuditHead = &finding.Rule{ID: "audit.head", Severity: finding.Error, Owner: finding.OwnerSelf, After: []string{"audit.chain"},
		Title:  "The head that was kept lies on the chain",
		OK:     "the head that was kept lies on the chain: nothing before it was changed",
		Says:   "the log ends before the head that was kept",
		Why:    "Records were cut off at the end, or the log was written anew.",
		Repair: "Keep the file as it is and compare it with a backup."}
	ruleAuditSignature = &finding.Rule{ID: "audit.signature", Severity: finding.Error, Owner: finding.OwnerSelf, After: []string{"audit.chain"},
		Title:  "The records of deletions are signed by our key",
		OK:     "{{.Signed}} signed {{plural .Signed \"record\" \"records\"}} by our key",
		Says:   "record {{.Record}} is not signed by any of our keys",
		Why:    "What was deleted is signed with the key of the folder. A record without a good signature was written or changed by somebody who does not have it, or the public keys given are others.",
		Repair: "Compare audit.pub with the public key that was handed out, and the log with a backup."}
	auditRules = []*finding.Rule{ruleAuditChain, ruleAuditHead, ruleAuditSignature}
)

// AuditFacts are the JSON of `mailwhy audit verify`, written down in docs/json.md.
type AuditFacts struct {
	Records int64    `json:"records"`
	Head    string   `json:"head,omitempty"`
	Gone    int64    `json:"gone,omitempty"`   // oldest records that were deleted
	Signed  int64    `json:"signed,omitempty"` // records with a good signature
	Keys    []string `json:"keys,omitempty"`   // SHA-256 of the public keys
}

// mustSign tells a record that is worth nothing without a signature.
func mustSign(r *audit.Record) bool { return r.What == "store.delete" || r.What == "audit.delete" }

// auditReport verifies a log and says what came of it.
func auditReport(name string, r io.ReadSeeker, kept audit.Head, keys []ed25519.PublicKey) *finding.Report {
	facts := &AuditFacts{}
	for _, k := range keys {
		facts.Keys = append(facts.Keys, audit.Fingerprint(k))
	}
	unsigned := int64(-1)
	gone, ok, err := audit.Beginning(r, keys)
	if facts.Gone = gone; !ok {
		unsigned = gone
	}
	if err == nil {
		_, err = r.Seek(0, io.SeekStart)
	}
	var head audit.Head
	if err == nil {
		head, err = audit.Verify(r, kept, func(rec *audit.Record) {
			if rec.Sig == "" && !mustSign(rec) {
				return
			}
			if _, ok := rec.Signer(keys); ok {
				facts.Signed++
			} else if unsigned < 0 {
				unsigned = rec.N
			}
		})
	}
	facts.Records, facts.Head = head.Count, head.String()
	target := finding.Subject{Kind: finding.KindFile, Name: name}
	rep := &finding.Report{Command: "audit", Target: target, Facts: facts}
	var broken *audit.Broken
	args := finding.Args{"N": head.Count - gone, "File": name, "Head": head.String(), "Signed": facts.Signed, "Record": unsigned}
	switch {
	case errors.As(err, &broken):
		args["Line"] = broken.Line
		rep.Findings = append(rep.Findings, ruleAuditChain.Failed(target, args).Saw(finding.Raw(broken.Why), finding.Sentence{}))
		rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.File}} was tampered with, or is damaged, at line {{.Line}}.", args)}
	case errors.Is(err, audit.ErrCut):
		rep.Findings = append(rep.Findings, ruleAuditChain.Passed(target, args), ruleAuditHead.Failed(target, args).Saw(finding.Raw(head.String()), finding.Raw(kept.String())))
		rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.File}} lacks records that were there.", args)}
	case errors.Is(err, audit.ErrGone):
		rep.Findings = append(rep.Findings, ruleAuditChain.Passed(target, args), ruleAuditHead.Untested(target, finding.S("the record of that head was deleted since; record {{.N}} is the first one left", finding.Args{"N": gone})))
		rep.Headline = finding.Headline{State: finding.StateUntested, Says: finding.S("{{.File}} no longer has the record of the head that was kept.", args)}
	case err != nil:
		rep.Findings = append(rep.Findings, ruleAuditChain.Untested(target, finding.Raw(err.Error())))
		rep.Headline = finding.Headline{State: finding.StateUntested, Says: finding.S("cannot read {{.File}}: {{.Text}}", finding.Args{"File": name, "Text": err.Error()})}
	default:
		rep.Findings = append(rep.Findings, ruleAuditChain.Passed(target, args))
		if kept != (audit.Head{}) {
			rep.Findings = append(rep.Findings, ruleAuditHead.Passed(target, args))
		}
		rep.Headline = finding.Headline{State: finding.StateOK, Says: finding.S("{{.File}} is whole: {{.N}} {{plural .N \"record\" \"records\"}}; head {{.Head}}", args)}
		switch {
		case unsigned >= 0:
			rep.Findings = append(rep.Findings, ruleAuditSignature.Failed(target, args))
			rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.File}} hangs together, but record {{.Record}} is not signed by our key.", args)}
		case facts.Signed > 0 || gone > 0:
			rep.Findings = append(rep.Findings, ruleAuditSignature.Passed(target, args))
		}
	}
	return rep
}

// showProof verifies the proof of one record.
func (a *app) showProof(name string, r io.Reader, keys []ed25519.PublicKey) error {
	var p audit.Proof
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&p); err != nil {
		return unreadable(name, err)
	}
	target := finding.Subject{Kind: finding.KindFile, Name: name}
	args := finding.Args{"N": int64(1), "File": name, "Signed": int64(0), "Record": p.N, "Line": p.N, "Text": p.Record}
	rep := &finding.Report{Command: "audit", Target: target, Facts: &p}
	var rec audit.Record
	if err := errors.Join(p.Check(), json.Unmarshal([]byte(p.Record), &rec)); err != nil || rec.N != p.N {
		rep.Findings = append(rep.Findings, ruleAuditChain.Failed(target, args))
		rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.File}} proves nothing: the record is not the one of its tree.", args)}
		return a.show(rep)
	}
	rep.Findings = append(rep.Findings, ruleAuditChain.Passed(target, args))
	rep.Headline = finding.Headline{State: finding.StateOK, Says: finding.S("Record {{.Record}} is in the log whose tree is named in {{.File}}.", args)}
	if rec.Sig != "" || mustSign(&rec) {
		if _, ok := rec.Signer(keys); ok {
			args["Signed"] = int64(1)
			rep.Findings = append(rep.Findings, ruleAuditSignature.Passed(target, args))
			rep.Headline.Says = finding.S("Record {{.Record}} is in the log whose tree is named in {{.File}}, and signed by our key.", args)
		} else {
			rep.Findings = append(rep.Findings, ruleAuditSignature.Failed(target, args))
			rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("Record {{.Record}} in {{.File}} is not signed by our key.", args)}
		}
	}
	return a.show(rep)
}

func (a *app) auditShow() *cobra.Command {
	var who, what string
	c := &cobra.Command{Use: "show", Short: a.say("print the records, the oldest first, one JSON object a line"), Args: cobra.NoArgs}
	open := a.auditFile(c)
	c.Flags().StringVar(&who, "who", "", a.say("only what this user did"))
	c.Flags().StringVar(&what, "what", "", a.say("only records whose kind begins so: login, run, see, user"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := open()
		if err != nil {
			return err
		}
		defer f.Close()
		return a.showAudit(a.begin(cmd), f, who, what)
	}
	return c
}

func (a *app) showAudit(ctx context.Context, f *os.File, who, what string) error {
	enc := json.NewEncoder(a.out)
	var failed error
	_, err := audit.Verify(f, audit.Head{}, func(r *audit.Record) {
		if failed == nil && ctx.Err() == nil && (who == "" || r.Who == who) && (len(r.What) >= len(what) && r.What[:len(what)] == what) {
			failed = enc.Encode(r)
		}
	})
	if err != nil {
		return unreadable(f.Name(), err)
	}
	return failed
}

func (a *app) auditProve() *cobra.Command {
	var n int64
	c := &cobra.Command{Use: "prove", Short: a.say("print the proof that a record is in the log (RFC 6962), as JSON"), Args: cobra.NoArgs}
	open := a.auditFile(c)
	c.Flags().Int64Var(&n, "record", 0, a.say("number of the record, from 0"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := open()
		if err != nil {
			return err
		}
		defer f.Close()
		a.begin(cmd)
		p, err := audit.Prove(f, n)
		if err != nil {
			return unreadable(f.Name(), err)
		}
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	return c
}
