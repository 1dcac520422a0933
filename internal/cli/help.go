package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// localiseHelp gives help and usage in the run's language.
func (a *app) localiseHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	if c := find(root, "help"); c != nil {
		c.Short = a.say("help about any command")
		c.Long = ""
	}
	if c := find(root, "completion"); c != nil {
		c.Short = a.say("print the completion script of a shell")
	}
	root.SetUsageTemplate(a.usageTemplate())
	root.SetHelpTemplate(`{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`)
	walk(root, func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		if f := c.Flags().Lookup("help"); f != nil {
			f.Usage = a.say("show this help")
		}
	})
}

func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, s := range c.Commands() {
		walk(s, f)
	}
}

func (a *app) usageTemplate() string {
	r := strings.NewReplacer(
		"USAGE", a.say("Usage:"), "EXAMPLES", a.say("Examples:"), "COMMANDS", a.say("Commands:"),
		"GLOBAL", a.say("Flags of every command:"), "FLAGS", a.say("Flags:"))
	return r.Replace(`USAGE
  {{.UseLine}}{{if .HasExample}}

EXAMPLES
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

COMMANDS{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

FLAGS
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

GLOBAL
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`)
}
