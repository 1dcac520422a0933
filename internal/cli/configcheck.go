package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
)

func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: a.say("look at a configuration file of mailwhy serve")}
	c.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: a.say("say what is wrong with a configuration file, with line and key"),
		Long: a.say(`Reads a configuration file as mailwhy serve does and says what is wrong with it: unknown keys, values that cannot be meant, monitors without what their kind asks for, channels without a secret.

Nothing is started, no secret is read, and the network is not asked. docs/config.schema.json describes the file for editors.`),
		Args: a.nArgs(1, 1, "one configuration file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readConfig(args[0])
			var wrong *configError
			if errors.As(err, &wrong) {
				a.status = exitUsage
				return a.show(wrong.report())
			}
			if err != nil {
				return err
			}
			a.begin(cmd)
			on := 0
			for i := range c.Monitor {
				if c.Monitor[i].IsArmed() {
					on++
				}
			}
			says := finding.S("{{.File}} is right: {{.N}} {{plural .N \"monitor\" \"monitors\"}} ({{.On}} armed), {{.C}} {{plural .C \"channel\" \"channels\"}}.",
				finding.Args{"File": args[0], "N": len(c.Monitor), "On": on, "C": len(c.Channel)})
			return a.show(&finding.Report{Command: "config", Target: finding.Subject{Kind: finding.KindFile, Name: args[0]}, Headline: finding.Headline{State: finding.StateOK, Says: says}})
		},
	})
	return c
}

// monitors is the part of the configuration that the monitors read.
func (c *Config) monitors() *monitor.Config {
	return &monitor.Config{Defaults: c.Defaults, Vantage: c.Vantage, Account: c.Account, Monitor: c.Monitor}
}

// channels is the part of the configuration that says whom to wake.
func (c *Config) channels() *notify.Config { return &notify.Config{Channel: c.Channel} }

// problem is something wrong at a place of the file.
type problem struct {
	path []any
	says finding.Sentence
}

// problems lists what is wrong with the parts that rooms own.
func (c *Config) problems() []problem {
	var out []problem
	for _, p := range c.monitors().Validate(monitor.Kinds(), c.channels().IDs()) {
		out = append(out, problem{p.Path, p.Says})
	}
	for _, p := range c.channels().Validate() {
		out = append(out, problem{p.Path, p.Says})
	}
	at := func(path ...any) func(string, finding.Sentence) {
		return func(key string, says finding.Sentence) {
			out = append(out, problem{append(slices.Clone(path), key), says})
		}
	}
	for i := range c.Update {
		c.Update[i].check(at("dns_update", i))
	}
	for i := range c.OIDC {
		c.OIDC[i].problems(at("oidc", i))
	}
	c.Serve.problems(at("serve"))
	c.Retention.problems(at("retention"))
	for i := range c.Threat.MISP {
		c.Threat.MISP[i].problems(at("threat", "misp", i))
	}
	c.Threat.problems(at("threat"))
	for _, p := range intake.Validate(c.Intake) {
		out = append(out, problem{[]any{"intake", p.Entry}, p.Says})
	}
	var wrong *change.Wrong
	if _, err := c.Desk.Guard(); errors.As(err, &wrong) {
		at("desk")(wrong.Key, wrong.Says)
	}
	return out
}

// configError is a file with problems, each with its line and key. It says the first.
type configError struct {
	name string
	rows []finding.Row
	err  error
}

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// wrongConfig makes the error of a file with problems.
func wrongConfig(name string, text *configText, bad []problem) error {
	places := text.where()
	slices.SortStableFunc(bad, func(a, b problem) int { return places.line(a.path) - places.line(b.path) })
	e := &configError{name: name}
	for _, p := range bad {
		e.rows = append(e.rows, finding.Marked(finding.VerdictError, finding.Raw(strconv.Itoa(places.line(p.path))), finding.Raw(keyName(p.path)), p.says))
	}
	first := finding.Args{"File": name, "Line": places.line(bad[0].path), "Key": keyName(bad[0].path), "Says": bad[0].says}
	hint := finding.Sentence{}
	if len(bad) > 1 {
		hint = finding.S("mailwhy config check {{.File}} shows all {{.N}} problems", finding.Args{"File": name, "N": len(bad)})
	}
	e.err = usage(finding.S("{{.File}}: line {{.Line}}, {{.Key}}: {{.Says}}", first), hint)
	return e
}

// report shows every problem.
func (e *configError) report() *finding.Report {
	return &finding.Report{
		Command: "config", Target: finding.Subject{Kind: finding.KindFile, Name: e.name},
		Headline: finding.Headline{State: finding.StateBroken, Owner: finding.OwnerSelf, Says: finding.S("{{.File}} has {{.N}} {{plural .N \"problem\" \"problems\"}}.", finding.Args{"File": e.name, "N": len(e.rows)})},
		Sections: []finding.Section{{Columns: []finding.Sentence{finding.S("line", nil), finding.S("setting", nil), finding.S("problem", nil)}, Rows: e.rows}},
	}
}

// keyName writes a path as people read it: monitor[2].args.host, counted from one.
func keyName(path []any) string {
	var b strings.Builder
	for _, p := range path {
		if n, ok := p.(int); ok {
			b.WriteString("[" + strconv.Itoa(n+1) + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, p)
	}
	return b.String()
}
