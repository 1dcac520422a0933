package cli

import (
	"context"
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
	c.AddCommand(a.auditVerify(), a.auditShow(), a.auditProve())
	return c
}

// auditFile adds the flag for the place of the log and gives what opens it.
func (a *app) auditFile(c *cobra.Command) func() (*os.File, error) {
	data := ""
	c.Flags().StringVar(&data, "data", "", a.say("folder of everything that is remembered"))
	return func() (*os.File, error) {
		if data == "" {
			data = a.dataFolder()
		}
		name := filepath.Join(data, "audit.log")
		f, err := os.Open(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		return f, nil
	}
}

func (a *app) auditVerify() *cobra.Command {
	var kept string
	c := &cobra.Command{Use: "verify", Short: a.say("tell whether any record was changed, taken out, put in or cut off"), Args: cobra.NoArgs}
	open := a.auditFile(c)
	c.Flags().StringVar(&kept, "head", "", a.say("count:hash that was kept elsewhere: it must lie on the chain"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		var head audit.Head
		if kept != "" {
			var err error
			if head, err = audit.ParseHead(kept); err != nil {
				return usage(finding.S("{{.Text}} is no head of an audit log", finding.Args{"Text": shorten(kept)}), finding.S("it looks like 1234:9f86d081…, with 64 digits", nil))
			}
		}
		f, err := open()
		if err != nil {
			return err
		}
		defer f.Close()
		a.begin(cmd)
		return a.show(auditReport(f.Name(), f, head))
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
	auditRules = []*finding.Rule{ruleAuditChain, ruleAuditHead}
)

// AuditFacts are the JSON of `mailwhy audit verify`, written down in docs/json.md.
type AuditFacts struct {
	Records int64  `json:"records"`
	Head    string `json:"head,omitempty"`
}

// auditReport verifies a log and says what came of it.
func auditReport(name string, r io.Reader, kept audit.Head) *finding.Report {
	head, err := audit.Verify(r, kept, nil)
	target := finding.Subject{Kind: finding.KindFile, Name: name}
	rep := &finding.Report{Command: "audit", Target: target, Facts: &AuditFacts{head.Count, head.String()}}
	var broken *audit.Broken
	args := finding.Args{"N": head.Count, "File": name, "Head": head.String()}
	switch {
	case errors.As(err, &broken):
		args["Line"] = broken.Line
		rep.Findings = append(rep.Findings, ruleAuditChain.Failed(target, args).Saw(finding.Raw(broken.Why), finding.Sentence{}))
		rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.File}} was tampered with, or is damaged, at line {{.Line}}.", args)}
	case errors.Is(err, audit.ErrCut):
		rep.Findings = append(rep.Findings, ruleAuditChain.Passed(target, args), ruleAuditHead.Failed(target, args).Saw(finding.Raw(head.String()), finding.Raw(kept.String())))
		rep.Headline = finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.File}} lacks records that were there.", args)}
	case err != nil:
		rep.Findings = append(rep.Findings, ruleAuditChain.Untested(target, finding.Raw(err.Error())))
		rep.Headline = finding.Headline{State: finding.StateUntested, Says: finding.S("cannot read {{.File}}: {{.Text}}", finding.Args{"File": name, "Text": err.Error()})}
	default:
		rep.Findings = append(rep.Findings, ruleAuditChain.Passed(target, args))
		if kept != (audit.Head{}) {
			rep.Findings = append(rep.Findings, ruleAuditHead.Passed(target, args))
		}
		rep.Headline = finding.Headline{State: finding.StateOK, Says: finding.S("{{.File}} is whole: {{.N}} {{plural .N \"record\" \"records\"}}; head {{.Head}}", args)}
	}
	return rep
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
