package lab

import "testing"

// BenchmarkServer takes the time of `mailwhy server` on all its ports, start of the program included, against a Dovecot
// with Postfix whose packets take 20 ms for a round trip.
func BenchmarkServer(b *testing.B) { benchTool(b, "server", "mail.server-slow.example", "--no-ipv6") }

// BenchmarkTLS takes the inventory of one port of the same kind of server without the delay.
func BenchmarkTLS(b *testing.B) { benchTool(b, "tls", "mail1.hosting.example:993", "--no-ipv6") }

func benchTool(b *testing.B, args ...string) {
	if world == nil {
		b.Skip(missing)
	}
	bin, err := world.Build(b.Context(), "..")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		o, err := world.Tool(b.Context(), bin, "", b.TempDir(), append(args, "--json")...)
		if err != nil || o.Exit != 0 {
			b.Fatalf("%v, exit status %d: %s", err, o.Exit, o.Stderr)
		}
	}
}
