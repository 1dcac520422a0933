package autoconf

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// WriteAutoconfig writes the file that a domain serves to Thunderbird and its kin.
func WriteAutoconfig(domain string, servers []Server) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s<clientConfig version=\"1.1\">\n  <emailProvider id=%q>\n    <domain>%s</domain>\n    <displayName>%s</displayName>\n", xml.Header, escape(domain), escape(domain), escape(domain))
	for _, s := range servers {
		tag := "incomingServer"
		if s.Type == "smtp" {
			tag = "outgoingServer"
		}
		socket := map[string]string{"tls": "SSL", "starttls": "STARTTLS", "plain": "plain"}[s.Security]
		fmt.Fprintf(&b, "    <%s type=\"%s\">\n      <hostname>%s</hostname>\n      <port>%d</port>\n      <socketType>%s</socketType>\n      <authentication>password-cleartext</authentication>\n      <username>%%EMAILADDRESS%%</username>\n    </%s>\n",
			tag, escape(s.Type), escape(s.Host), s.Port, socket, tag)
	}
	b.WriteString("  </emailProvider>\n</clientConfig>\n")
	return []byte(b.String())
}

// WriteProfile writes a configuration profile for iOS and macOS out of one incoming and one outgoing server. The
// identifiers are made of the address, so that a second import replaces the first; it holds no password.
func WriteProfile(address string, in, out Server) []byte {
	kind := "EmailTypeIMAP"
	if in.Type == "pop3" {
		kind = "EmailTypePOP"
	}
	_, domain, _ := strings.Cut(address, "@")
	id := "mailwhy." + address
	var b strings.Builder
	b.WriteString(xml.Header + "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n")
	text := func(indent, k, v string) {
		fmt.Fprintf(&b, "%s<key>%s</key><string>%s</string>\n", indent, k, escape(v))
	}
	flag := func(k string, on bool) { fmt.Fprintf(&b, "    <key>%s</key><%v/>\n", k, on) }
	b.WriteString("  <key>PayloadContent</key>\n  <array><dict>\n")
	text("    ", "EmailAccountType", kind)
	text("    ", "EmailAddress", address)
	for _, s := range []struct {
		name string
		Server
	}{{"Incoming", in}, {"Outgoing", out}} {
		text("    ", s.name+"MailServerAuthentication", "EmailAuthPassword")
		text("    ", s.name+"MailServerHostName", s.Host)
		fmt.Fprintf(&b, "    <key>%sMailServerPortNumber</key><integer>%d</integer>\n", s.name, s.Port)
		flag(s.name+"MailServerUseSSL", s.Security != "plain")
		text("    ", s.name+"MailServerUsername", address)
	}
	flag("OutgoingPasswordSameAsIncomingPassword", true)
	text("    ", "PayloadIdentifier", id+".mail")
	text("    ", "PayloadType", "com.apple.mail.managed")
	text("    ", "PayloadUUID", uuid(id+".mail"))
	b.WriteString("    <key>PayloadVersion</key><integer>1</integer>\n  </dict></array>\n")
	text("  ", "PayloadDisplayName", domain)
	text("  ", "PayloadIdentifier", id)
	text("  ", "PayloadType", "Configuration")
	text("  ", "PayloadUUID", uuid(id))
	b.WriteString("  <key>PayloadVersion</key><integer>1</integer>\n</dict>\n</plist>\n")
	return []byte(b.String())
}
