package check

import (
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// FilterVerdict says in words what a content filter or an authenticator wrote into its log: "signed", "no action", "CLEAN".
// Words outside the known set are given as they stand.
func FilterVerdict(word string) finding.Sentence {
	w := strings.ToLower(word)
	for _, v := range filterVerdicts {
		if v.word == w {
			return finding.Sentence{Msg: v.says}
		}
	}
	return finding.Raw(word)
}

// filterVerdicts are the words of OpenDKIM, OpenDMARC, the SPF policy servers, rspamd, amavis, SpamAssassin, ClamAV and
// postgrey, in lower case.
var filterVerdicts = [...]struct {
	word string
	says finding.Msg
}{
	{"signed", finding.M("signed")},
	{"pass", finding.M("passed")},
	{"accept", finding.M("let through")},
	{"dunno", finding.M("let through")},
	{"block", finding.M("blocked")},
	{"quarantine", finding.M("quarantined")},
	{"not spam", finding.M("not spam")},
	{"fail", finding.M("failed the test")},
	{"passed", finding.M("let through")},
	{"blocked", finding.M("blocked")},
	{"softfail", finding.M("softfail: likely not allowed")},
	{"neutral", finding.M("neutral: the domain says nothing for or against")},
	{"none", finding.M("nothing to test")},
	{"temperror", finding.M("could not be tested for now (temperror)")},
	{"permerror", finding.M("a record is faulty (permerror)")},
	{"key not found", finding.M("the key was not found")},
	{"verification succeeded", finding.M("the signature holds")},
	{"clean", finding.M("clean")},
	{"infected", finding.M("infected")},
	{"ham", finding.M("not spam")},
	{"spam", finding.M("spam")},
	{"spammy", finding.M("likely spam")},
	{"banned", finding.M("forbidden attachment")},
	{"bad-header", finding.M("faulty header")},
	{"unchecked", finding.M("not checked")},
	{"oversized", finding.M("too large")},
	{"no action", finding.M("let through")},
	{"add header", finding.M("marked as spam in the header")},
	{"rewrite subject", finding.M("marked as spam in the subject")},
	{"greylist", finding.M("greylisted")},
	{"soft reject", finding.M("put off")},
	{"reject", finding.M("rejected")},
	{"quarantine", finding.M("quarantined")},
	{"discard", finding.M("discarded")},
}
