package received

import (
	"regexp"
	"strings"
)

// families are the marks by which software shows itself, in the order they are tried. A mark is looked for in the
// software comment, the protocol words and the receiving host's name, in lower case.
var families = []struct{ mark, name string }{
	{"postfix", "Postfix"}, {"coremail", "Coremail"}, {"newmx", "QQ"}, {"newesmtp", "QQ"}, {"exmail", "QQ"},
	{"exim", "Exim"}, {"nemesis", "Nemesis"}, {"communigate", "CommuniGate"}, {"opensmtpd", "OpenSMTPD"}, {"haraka", "Haraka"},
	{"lotus domino", "Domino"}, {"ibm domino", "Domino"}, {"hcl domino", "Domino"}, {"domino release", "Domino"}, {"groupwise", "GroupWise"},
	{"microsoft smtp server", "Exchange"}, {"smtpsvc", "Microsoft SMTPSVC"}, {"mapi", "Exchange"}, {"exchange internet mail", "Exchange"},
	{"mdaemon", "MDaemon"}, {"mailenable", "MailEnable"}, {"hmailserver", "hMailServer"}, {"smtpd32", "IMail"}, {"merak", "IceWarp"}, {"icewarp", "IceWarp"},
	{"kerio", "Kerio"}, {"surgemail", "SurgeMail"}, {"axigen", "Axigen"}, {"james smtp", "James"}, {"zimbra", "Zimbra"}, {"xmail", "XMail"},
	{"fetchmail", "fetchmail"}, {"getmail", "getmail"}, {"qmail-scanner", "qmail-scanner"}, {"qpsmtpd", "qpsmtpd"}, {"qmail", "qmail"}, {"ofmipd", "qmail"},
	{"courier", "Courier"}, {"ecelerity", "Momentum"}, {"momentum", "Momentum"}, {"powermta", "PowerMTA"}, {"simpleemailservice", "Amazon SES"},
	{"hermes smtp", "Yahoo"}, {"cyrus", "Cyrus"}, {"dovecot", "Dovecot"},
	{"ppops", "Proofpoint"}, {"ironport", "IronPort"}, {"barracuda", "Barracuda"},
	{"interscan", "InterScan"}, {"squirrelmail", "SquirrelMail"}, {"horde", "Horde"}, {"roundcube", "Roundcube"}, {"z/os", "IBM z/OS"},
	{"iplanet", "Sun JMS"}, {"sun java", "Sun JMS"}, {"oracle communications", "Sun JMS"}, {"intermail", "InterMail"}, {"smail", "smail"}, {"smap", "smap"},
	{"scalix", "Scalix"}, {"rockliffe", "MailSite"}, {"mercury", "Mercury"}, {"alibaba", "Aliyun"}, {"stalwart", "Stalwart"}, {"nullmailer", "nullmailer"},
	{"listserv", "LISTSERV"}, {"ecartis", "Ecartis"}, {"mailman", "Mailman"}, {"spamassassin", "SpamAssassin"}, {"nnfmp", "Yahoo"}, {"f-secure", "F-Secure"},
	{"argosoft", "ArGoSoft"}, {"clearswift", "Clearswift"}, {"content technologies", "Clearswift"}, {"/submit", "Sendmail"}, {"dragonfly mail agent", "DragonFly"}, {"trustwave", "MailMarshal"}, {"mailmarshal", "MailMarshal"}, {"richmail", "RichMail"}, {"mos 4", "Mirapoint"}, {"mos 3", "Mirapoint"},
	{"lotus smtp", "Domino"}, {"amavis", "amavis"}, {"smtp/yandex", "Yandex"}, {"smartermail", "SmarterMail"},
}

// hostFamilies are marks in the receiving host's name, for services that name no software.
var hostFamilies = []struct{ mark, name string }{
	{".outlook.com", "Exchange"}, {".exchangelabs.com", "Exchange"}, {"google.com", "Google"}, {"yahoo.com", "Yahoo"}, {"amazonaws.com", "Amazon SES"}, {"amazonses.com", "Amazon SES"},
	{"messagelabs.com", "Symantec"}, {"mimecast.com", "Mimecast"}, {"pphosted.com", "Proofpoint"}, {"iphmx.com", "IronPort"}, {"barracuda", "Barracuda"}, {"zohomail", "Zoho"}, {"zoho.com", "Zoho"},
	{"aliyun", "Aliyun"}, {"alibaba", "Aliyun"}, {"qq.com", "QQ"}, {"163.com", "NetEase"}, {"126.com", "NetEase"}, {"netease.com", "NetEase"}, {"mail.ru", "Mail.ru"}, {"yandex", "Yandex"},
	{"sina.com", "Sina"}, {"sina.net", "Sina"}, {"sohu.com", "Sohu"}, {"sendgrid.net", "SendGrid"}, {"ismtpd", "SendGrid"}, {"mailgun", "Mailgun"}, {"icloud.com", "Apple"}, {"apple.com", "Apple"},
}

var (
	sendmailVersion = regexp.MustCompile(`^\d+\.\d+(?:\.\d+)*(?:\.[A-Za-z]\w+)?/`)
	dottedVersion   = regexp.MustCompile(`^\d+\.\d+\.\d{3}$`)
	eximID          = regexp.MustCompile(`^[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}|[0-9A-Za-z]{11})-[0-9A-Za-z]{2,4}$`)
)

func (h *Hop) family() string {
	text := strings.ToLower(h.Software + " " + h.With + " " + h.WithText + " " + h.Via + " " + h.byWords)
	by := strings.ToLower(h.By)
	for _, f := range families {
		if strings.Contains(text, f.mark) {
			return f.name
		}
	}
	for _, f := range hostFamilies {
		if strings.Contains(by, f.mark) {
			return f.name
		}
	}
	switch {
	case sendmailVersion.MatchString(h.Software):
		return "Sendmail"
	case dottedVersion.MatchString(h.Software):
		return "CriticalPath"
	case strings.HasPrefix(h.ID, "smtpd") && h.With == "" && strings.EqualFold(h.Via, "SMTP"):
		return "smtpd"
	case eximID.MatchString(h.ID):
		return "Exim"
	}
	return ""
}

// protocol gives the protocol word in the words behind "with", upper case; words without one come back as they are.
func protocol(text string) string {
	best := ""
	for _, w := range strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool { return strings.ContainsRune(" []()/,;", r) }) {
		w = strings.TrimPrefix(w, "LOCAL-")
		switch w {
		case "SMTP", "ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA", "LMTP", "LMTPA", "LMTPS", "LMTPSA", "UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA",
			"UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA", "MMS", "HTTP", "HTTPS", "HTTPREST", "IMAP", "IMAPS", "POP3", "POP3S", "LOCAL", "ASMTP", "SMTPS", "SMTPA", "BSMTP", "UUCP", "BATCH":
			best = w
		case "ESMTP-TLS", "ESMTP_TLS":
			best = "ESMTPS"
		case "SMTPSVC":
			best = "SMTP"
		}
		if best != "" {
			return best
		}
	}
	return text
}

// settle decides, when the whole line has been read, which name is which and what kind of line it is.
func (h *Hop) settle() {
	h.Family = h.family()
	h.webmailUser()
	if !h.IP.IsValid() && h.fromIP.IsValid() {
		h.IP = h.fromIP
	}
	h.kind()
	h.names()
	if h.Auth == "" {
		switch h.With {
		case "ESMTPA", "ESMTPSA", "ASMTP", "SMTPA", "UTF8SMTPA", "UTF8SMTPSA":
			h.Auth = h.With
		}
	}
	switch h.With {
	case "ESMTPS", "ESMTPSA", "SMTPS", "LMTPS", "LMTPSA", "UTF8SMTPS", "UTF8SMTPSA", "HTTPS", "POP3S", "IMAPS":
		h.TLS = true
	}
	if h.Kind == Web && h.Auth == "" {
		h.Auth = "HTTP"
	}
	h.Relay = h.IP.IsValid() && (h.Kind == Relay || h.Kind == Web)
}

// webmailUser reads NetEase's "user$163.com", the account of a web session, where a host's name should stand.
func (h *Hop) webmailUser() {
	if user, domain, ok := strings.Cut(h.From, "$"); ok && strings.Contains(domain, ".") && user != "" && h.AuthUser == "" {
		h.AuthUser, h.Auth = user+"@"+domain, "HTTP"
	}
}

// names tells reverse name and greeting apart. What stands behind "from" is the greeting for most software, the
// reverse name for qmail, Exim, CommuniGate and their kin when the greeting is noted beside it.
func (h *Hop) names() {
	name := h.From
	if h.fromIP.IsValid() || strings.EqualFold(name, "unknown") || h.Kind == Local || h.unixed {
		name = ""
	}
	verified := h.RDNS == "verified"
	if verified {
		h.RDNS = ""
	}
	switch {
	case verified:
		h.RDNS = name
		h.helo(name)
	case h.HELO != "" && h.RDNS == "" && h.IP.IsValid() && !h.noRDNS && !h.greets():
		h.RDNS = dotted(name)
	case h.RDNS != "" || h.noRDNS || h.unixed:
		h.helo(h.From)
	case h.reverses() && h.IP.IsValid() && h.IP != h.fromIP:
		h.RDNS = dotted(name)
		h.helo(h.From)
	case h.Kind != Local && h.Auth != "HTTP" && !strings.HasPrefix(h.With, "HTTP"):
		h.helo(h.From)
	}
	if h.mute || (h.Family == "smap" || h.Family == "smtpd") && h.HELO == h.From {
		h.HELO = ""
	}
	if _, _, ok := parseAddress(h.RDNS); ok || strings.EqualFold(h.RDNS, "unknown") {
		h.RDNS = ""
	}
	if strings.EqualFold(h.HELO, "unknown") && !h.greets() {
		h.HELO = ""
	}
}

func (h *Hop) helo(s string) {
	if h.HELO == "" && h.Kind != Filter && !strings.Contains(s, "@") {
		h.HELO = s
	}
}

// greets: software that always writes the greeting behind "from", even where HELO is noted again.
func (h *Hop) greets() bool {
	switch h.Family {
	case "Postfix", "Sendmail", "Coremail", "QQ", "Haraka", "Zimbra":
		return true
	}
	return false
}

// reverses: software that writes the reverse name behind "from" and leaves the greeting out where both are the same.
func (h *Hop) reverses() bool {
	switch h.Family {
	case "Exim", "qmail", "qpsmtpd", "CriticalPath", "smap", "smtpd":
		return true
	case "":
		// qmail gives no software and no id: "from host (1.2.3.4) by us with SMTP; date".
		return h.With == "SMTP" && h.ID == "" && !strings.Contains(h.Raw, "(["+h.IP.String()) && !strings.Contains(h.Raw, ":"+itoa(h.Port)+")")
	}
	return false
}

func itoa(n int) string {
	if n == 0 {
		return "none"
	}
	var b [8]byte
	i := len(b)
	for ; n > 0 && i > 0; n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return string(b[i:])
}

func dotted(s string) string {
	if strings.Contains(s, ".") && hostname(strings.Trim(s, "[]")) {
		return strings.TrimSuffix(s, ".")
	}
	return ""
}

// kind says what the line records.
func (h *Hop) kind() {
	text := strings.ToLower(h.WithText + " " + h.With)
	soft := strings.ToLower(h.Software)
	switch {
	case h.Kind != "":
	case strings.HasPrefix(h.With, "IMAP"), strings.HasPrefix(h.With, "POP3"), h.Family == "fetchmail", h.Family == "getmail":
		h.Kind = Fetch
	case strings.Contains(text, "scan"), strings.Contains(text, "spamassassin"), h.Family == "LISTSERV", h.Family == "Ecartis", h.Family == "Mailman",
		strings.Contains(text, "spool"), h.Family == "CommuniGate" && (h.With == "RULE" || h.With == "LIST"):
		h.Kind = Filter
	case strings.Contains(soft, "from userid"), strings.Contains(soft, "/submit"), h.With == "LOCAL", h.Family == "DragonFly", strings.Contains(soft, "from uid"):
		h.Kind = Local
	case h.AuthUser != "" && h.Auth == "HTTP", strings.HasPrefix(h.With, "HTTP") && !strings.Contains(h.From, ".") || strings.HasPrefix(h.With, "HTTP") && h.IP.IsValid() && h.Family != "Exchange":
		h.Kind = Web
	case h.IP.IsValid():
		h.Kind = Relay
	case h.unixed:
		h.Kind = Local
	case h.From != "" || h.By != "":
		h.Kind = Handover
	default:
		h.Kind = Unread
	}
}
