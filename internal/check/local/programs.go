package local

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

func (j *judge) set(product, name, value string) []finding.Step {
	target := map[string]string{"postfix": "Postfix main.cf", "exim": "Exim configuration", "dovecot": "Dovecot configuration"}[product]
	return []finding.Step{{Kind: finding.Configure, Target: target, Old: name + " = " + j.f.Settings[product][name], New: name + " = " + value}}
}

func (j *judge) postfix() {
	s := j.f.Settings["postfix"]
	if s == nil {
		return
	}
	raw := func(name string) string { return name + " = " + s[name] }
	j.postfixRelay(s)
	offers := s["smtpd_tls_security_level"] != "" && s["smtpd_tls_security_level"] != "none" || s.on("smtpd_use_tls") || s.on("smtpd_enforce_tls")
	if f := j.say(rulePfTLS, !offers, nil, "postconf", raw("smtpd_tls_security_level")); !offers {
		f.Fix = j.set("postfix", "smtpd_tls_security_level", "may")
	}
	out := s["smtp_tls_security_level"]
	plainOut := (out == "" || out == "none") && !s.on("smtp_use_tls") && !s.on("smtp_enforce_tls")
	if f := j.say(rulePfOut, plainOut, finding.Args{"Value": out}, "postconf", raw("smtp_tls_security_level")); plainOut {
		f.Fix = j.set("postfix", "smtp_tls_security_level", "may")
	}
	if s.on("smtpd_sasl_auth_enable") {
		if f := j.say(rulePfPlain, !s.on("smtpd_tls_auth_only"), nil, "postconf", raw("smtpd_tls_auth_only")); !s.on("smtpd_tls_auth_only") {
			f.Fix = j.set("postfix", "smtpd_tls_auth_only", "yes")
		}
	}
	j.say(rulePfName, !publicName(s["myhostname"]), finding.Args{"Value": s["myhostname"]}, "postconf", raw("myhostname"))
	j.postfixClasses(s)
	j.postfixSizes(s)
	if s.on("soft_bounce") {
		j.say(rulePfSoft, true, nil, "postconf", raw("soft_bounce")).Fix = j.set("postfix", "soft_bounce", "no")
	}
	if v, known := s["smtpd_forbid_bare_newline"]; known {
		bad := v == "no"
		if f := j.say(rulePfSmuggling, bad, finding.Args{"Value": v}, "postconf", raw("smtpd_forbid_bare_newline")); bad {
			f.Fix = j.set("postfix", "smtpd_forbid_bare_newline", "normalize")
		}
	}
	if v, known := s["smtputf8_enable"]; known && v == "no" {
		j.say(rulePfUTF8, true, finding.Args{"Value": v}, "postconf", raw("smtputf8_enable"))
	}
}

// postfixRelay looks for the two ways in which Postfix becomes an open relay: everybody is a neighbour, or nothing stands
// between a stranger and another domain.
func (j *judge) postfixRelay(s Settings) {
	if w, all := everybody(s["mynetworks"]); all {
		j.say(ruleRelay, true, finding.Args{"Setting": "mynetworks", "Value": w}, "postconf", "mynetworks = "+s["mynetworks"]).Fix = j.set("postfix", "mynetworks", "127.0.0.0/8 [::1]/128")
		return
	}
	const first, second = "smtpd_relay_restrictions", "smtpd_recipient_restrictions"
	if _, known := s[first]; !known {
		return
	}
	guarded := false
	for _, name := range []string{first, second} {
		for w := range strings.FieldsFuncSeq(s[name], func(r rune) bool { return r == ' ' || r == ',' }) {
			if w == "permit" {
				break
			}
			// A class or a variable may hold anything: it is not judged.
			guarded = guarded || slices.Contains([]string{"reject_unauth_destination", "defer_unauth_destination", "defer", "reject", "check_relay_domains"}, w) || strings.HasPrefix(w, "$") || s[w] != "" && strings.Contains(s[w], "unauth_destination")
		}
	}
	j.say(ruleRelay, !guarded, finding.Args{"Setting": first, "Value": s[first]}, "postconf", first+" = "+s[first]+"; "+second+" = "+s[second])
}

// postfixClasses looks for domains that are local and virtual at once; values that come from tables are not looked into.
func (j *judge) postfixClasses(s Settings) {
	local := strings.FieldsFunc(strings.NewReplacer("$myhostname", s["myhostname"], "$mydomain", s["mydomain"]).Replace(s["mydestination"]), listSep)
	for _, other := range []string{"virtual_mailbox_domains", "virtual_alias_domains", "relay_domains"} {
		var both []string
		for _, d := range strings.FieldsFunc(s[other], listSep) {
			if slices.Contains(local, d) && !strings.ContainsAny(d, ":$/") {
				both = append(both, d)
			}
		}
		if len(both) > 0 {
			j.say(rulePfTwice, true, finding.Args{"Domains": both, "Other": other}, "postconf", "mydestination = "+s["mydestination"]+"; "+other+" = "+s[other])
		}
	}
}

func listSep(r rune) bool { return r == ' ' || r == ',' || r == '\t' }

func (j *judge) postfixSizes(s Settings) {
	message, err := strconv.ParseInt(s["message_size_limit"], 10, 64)
	if err != nil {
		return
	}
	bad := false
	for _, small := range []string{"mailbox_size_limit", "virtual_mailbox_limit"} {
		v, err := strconv.ParseInt(s[small], 10, 64)
		if small == "virtual_mailbox_limit" && s["virtual_mailbox_domains"] == "" {
			continue
		}
		if err == nil && v != 0 && (message > v || message == 0) {
			bad = true
			j.say(rulePfSize, true, finding.Args{"Big": "message_size_limit", "BigValue": s["message_size_limit"], "Small": small, "SmallValue": s[small]}, "postconf", "message_size_limit = "+s["message_size_limit"]+"; "+small+" = "+s[small])
		}
	}
	if d := j.f.Settings["dovecot"]; d != nil {
		for _, small := range []string{"plugin/quota_max_mail_size", "quota_mail_size"} {
			if v := bytesOf(d[small]); v > 0 && message > v {
				bad = true
				j.say(rulePfSize, true, finding.Args{"Big": "message_size_limit", "BigValue": s["message_size_limit"], "Small": "Dovecot " + small, "SmallValue": d[small]}, "doveconf -n", small+" = "+d[small])
			}
		}
	}
	if !bad {
		j.say(rulePfSize, false, nil, "", "")
	}
}

// bytesOf reads "50M"; 0 for what it cannot read.
func bytesOf(s string) int64 {
	s = strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s)), "B")
	unit := int64(1)
	for u, n := range map[string]int64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if t, ok := strings.CutSuffix(s, u); ok {
			s, unit = t, n
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > 1<<40 {
		return 0
	}
	return n * unit
}

func (j *judge) exim() {
	s := j.f.Settings["exim"]
	if s == nil {
		return
	}
	raw := func(name string) string { return name + " = " + s[name] }
	if hosts, known := s["hostlist relay_from_hosts"]; known {
		w, all := everybody(strings.ReplaceAll(hosts, " : ", " "))
		j.say(ruleEximRelay, all, finding.Args{"Value": w}, "exim -bP config", raw("hostlist relay_from_hosts"))
	}
	if v, known := s["tls_advertise_hosts"]; known {
		setting := "tls_advertise_hosts"
		if v != "" && s["tls_certificate"] == "" {
			setting = "tls_certificate"
		}
		j.say(ruleEximTLS, v == "" || s["tls_certificate"] == "", finding.Args{"Setting": setting}, "exim -bP", raw(setting))
		if auth := s["auth_advertise_hosts"]; v != "" && auth == "*" {
			j.say(ruleEximPlain, true, finding.Args{"Value": auth}, "exim -bP", raw("auth_advertise_hosts"))
		}
	}
	if v := s["primary_hostname"]; v != "" {
		j.say(ruleEximName, !publicName(v), finding.Args{"Value": v}, "exim -bP", raw("primary_hostname"))
	}
}

func (j *judge) dovecot() {
	s := j.f.Settings["dovecot"]
	if s == nil {
		return
	}
	plain := ""
	if s["disable_plaintext_auth"] == "no" {
		plain = "disable_plaintext_auth"
	}
	if s.on("auth_allow_cleartext") {
		plain = "auth_allow_cleartext"
	}
	j.say(ruleDovePlain, plain != "", finding.Args{"Setting": plain, "Value": s[plain]}, "doveconf -n", plain+" = "+s[plain])
	j.say(ruleDoveTLS, s["ssl"] == "no", nil, "doveconf -n", "ssl = "+s["ssl"])
	if v := s["ssl_min_protocol"]; v == "TLSv1" || v == "TLSv1.1" || v == "SSLv3" || v == "ANY" {
		j.say(ruleDoveOld, true, finding.Args{"Value": v}, "doveconf -n", "ssl_min_protocol = "+v)
	}
	for name, v := range s {
		scheme := ""
		if strings.HasSuffix(name, "default_pass_scheme") || strings.HasSuffix(name, "passdb_default_password_scheme") {
			scheme = strings.ToUpper(v)
		}
		if i := strings.Index(strings.ToLower(v), "scheme="); strings.HasPrefix(name, "passdb") && i >= 0 {
			scheme, _, _ = strings.Cut(strings.ToUpper(v[i+7:]), " ")
		}
		if slices.Contains([]string{"PLAIN", "CLEARTEXT", "CLEAR", "PLAIN-MD5", "LDAP-MD5", "CRYPT", "DES-CRYPT", "MD5", "MD5-CRYPT", "SHA", "SHA1", "CRAM-MD5", "DIGEST-MD5", "LANMAN", "NTLM"}, scheme) {
			j.say(ruleDoveScheme, true, finding.Args{"Value": scheme}, "doveconf -n", name+" = "+v)
		}
		if strings.HasPrefix(name, "passdb") && strings.HasSuffix(name, "/args") && strings.Contains(v, "nopassword") && strings.Contains(s[strings.TrimSuffix(name, "args")+"driver"], "static") {
			j.say(ruleDoveAny, true, nil, "doveconf -n", name+" = "+v)
		}
	}
}
