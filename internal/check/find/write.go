package find

import "github.com/mailwhy/mailwhy/internal/mail/autoconf"

// File is the file a mail program imports, out of the servers that work: "mobileconfig" or "autoconfig". It is nil
// where no server to read and to send was found.
func File(f *Facts, kind string) []byte {
	in, out := incoming(f), f.Best("smtp")
	if in == nil || out == nil {
		return nil
	}
	if kind == "mobileconfig" {
		return autoconf.WriteProfile(f.Address, in.Server, out.Server)
	}
	var servers []autoconf.Server
	for _, k := range []string{"imap", "pop3", "smtp"} {
		if c := f.Best(k); c != nil {
			servers = append(servers, c.Server)
		}
	}
	return autoconf.WriteAutoconfig(f.Domain, servers)
}
