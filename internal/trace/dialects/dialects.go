// Package dialects is the list of every log dialect mailwhy reads. The dialects themselves know nothing of each other;
// this is the one place where they stand side by side, in the order in which they are asked.
package dialects

import (
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/logs/amavis"
	"github.com/mailwhy/mailwhy/internal/logs/clamav"
	"github.com/mailwhy/mailwhy/internal/logs/courier"
	"github.com/mailwhy/mailwhy/internal/logs/cyrus"
	"github.com/mailwhy/mailwhy/internal/logs/dovecot"
	"github.com/mailwhy/mailwhy/internal/logs/exchange"
	"github.com/mailwhy/mailwhy/internal/logs/exim"
	"github.com/mailwhy/mailwhy/internal/logs/fail2ban"
	"github.com/mailwhy/mailwhy/internal/logs/haraka"
	"github.com/mailwhy/mailwhy/internal/logs/maddy"
	"github.com/mailwhy/mailwhy/internal/logs/opendkim"
	"github.com/mailwhy/mailwhy/internal/logs/opendmarc"
	"github.com/mailwhy/mailwhy/internal/logs/opensmtpd"
	"github.com/mailwhy/mailwhy/internal/logs/policy"
	"github.com/mailwhy/mailwhy/internal/logs/policydspf"
	"github.com/mailwhy/mailwhy/internal/logs/postfix"
	"github.com/mailwhy/mailwhy/internal/logs/postgrey"
	"github.com/mailwhy/mailwhy/internal/logs/proxmox"
	"github.com/mailwhy/mailwhy/internal/logs/qmail"
	"github.com/mailwhy/mailwhy/internal/logs/rspamd"
	"github.com/mailwhy/mailwhy/internal/logs/sendmail"
	"github.com/mailwhy/mailwhy/internal/logs/service"
	"github.com/mailwhy/mailwhy/internal/logs/spamassassin"
	"github.com/mailwhy/mailwhy/internal/logs/stalwart"
	"github.com/mailwhy/mailwhy/internal/logs/system"
	"github.com/mailwhy/mailwhy/internal/logs/zimbra"
)

// All gives the dialects in the order in which they are asked whose a program is. A new one is a line here. Policy
// servers and filters come first, because they often run under Postfix's name.
func All() []logs.Dialect {
	return []logs.Dialect{
		policy.Dialect{},
		policydspf.Dialect{},
		postgrey.Dialect{},
		postfix.Dialect{},
		exim.Dialect{},
		dovecot.Dialect{},
		sendmail.Dialect{},
		exchange.Dialect{},
		opensmtpd.Dialect{},
		haraka.Dialect{},
		qmail.Dialect{},
		rspamd.Dialect{},
		spamassassin.Dialect{},
		amavis.Dialect{},
		opendkim.Dialect{},
		opendmarc.Dialect{},
		clamav.Dialect{},
		fail2ban.Dialect{},
		proxmox.Dialect{},
		cyrus.Dialect{},
		courier.Dialect{},
		zimbra.Dialect{},
		stalwart.Dialect{},
		maddy.Dialect{},
		service.Dialect{},
		system.Dialect{},
	}
}
