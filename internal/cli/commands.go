package cli

import "github.com/spf13/cobra"

// commands is the whole command tree, a builder each.
var commands = []func(*app) *cobra.Command{
	(*app).checkCommand,
	(*app).mxCommand,
	(*app).logsCommand,
	(*app).traceCommand,
	(*app).queueCommand,
	(*app).rulesCommand,
	(*app).versionCommand,
	(*app).manCommand,
	(*app).docsCommand,
	(*app).dmarcCommand,
	(*app).blocklistCommand,
	(*app).ipCommand,
	(*app).resolveCommand,
	(*app).pathCommand,
	(*app).reportsCommand,
	(*app).tlsCommand,
	(*app).deliverCommand,
	(*app).demoCommand,
	(*app).spfCommand,
	(*app).dkimCommand,
	(*app).verifyCommand,
	(*app).headersCommand,
	(*app).bounceCommand,
	(*app).explainCommand,
	(*app).scoreCommand,
	(*app).inboxCommand,
	(*app).sieveCommand,
	(*app).captureCommand,
	(*app).findCommand,
	(*app).serverCommand,
	(*app).loginCommand,
	(*app).blockCommand,
}
