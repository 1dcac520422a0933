package bounce

import "github.com/mailwhy/mailwhy/internal/finding"

// One rule per owner, because whose job it is depends on the cause.
var (
	ruleSender = &finding.Rule{
		ID: "bounce.sender", Severity: finding.Error, Owner: finding.OwnerSender,
		Title:  "message came back: the writer can mend it",
		Says:   "{{.Recipient}}: {{.Cause}}",
		Why:    "The message did not arrive. Its address, its size or its content was refused.",
		Repair: "{{.Advice}}",
		Refs:   []finding.Ref{finding.RFC(3464, "")},
	}
	ruleOurs = &finding.Rule{
		ID: "bounce.ours", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "message came back: our mail server or domain is refused",
		Says:   "{{.Recipient}}: {{.Cause}}",
		Why:    "The message did not arrive, and others from the same server or domain will meet the same refusal.",
		Repair: "{{.Advice}}",
		Refs:   []finding.Ref{finding.RFC(3464, "")},
	}
	ruleTheirs = &finding.Rule{
		ID: "bounce.theirs", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title:  "message came back: the receiving side has to act",
		Says:   "{{.Recipient}}: {{.Cause}}",
		Why:    "The message did not arrive, for a reason that only the recipient or the recipient's mail administrator can remove.",
		Repair: "{{.Advice}}",
		Refs:   []finding.Ref{finding.RFC(3464, "")},
	}
	ruleNetwork = &finding.Rule{
		ID: "bounce.network", Severity: finding.Error, Owner: finding.OwnerNetwork,
		Title:  "message came back: the network or the DNS failed",
		Says:   "{{.Recipient}}: {{.Cause}}",
		Why:    "The receiving server was never reached, or the connection broke.",
		Repair: "{{.Advice}}",
		Refs:   []finding.Ref{finding.RFC(3464, "")},
	}
	ruleDelayed = &finding.Rule{
		ID: "bounce.delayed", Severity: finding.Warning, Owner: finding.OwnerNobody,
		Title:  "message is delayed and still being tried",
		Says:   "{{.Recipient}}: not delivered yet: {{.Cause}}",
		Why:    "The message is not lost; the server that wrote the notice keeps trying.",
		Repair: "{{.Advice}}",
		Refs:   []finding.Ref{finding.RFC(3464, "2.3.3")},
	}
	ruleComplaint = &finding.Rule{
		ID: "bounce.complaint", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "recipient complained about a message",
		Says:   "{{.Recipient}}: {{.Cause}}",
		Why:    "Complaints make providers refuse further mail from the same sender.",
		Repair: "{{.Advice}}",
		Refs:   []finding.Ref{finding.RFC(5965, "")},
	}
	ruleDisagree = &finding.Rule{
		ID: "bounce.disagree", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "the report's prose and the server's words disagree",
		Says:  "{{.Recipient}}: the server says {{.Said}}, the report's prose says {{.Prose}}; the server's words are believed",
		Why:   "The report was written by another program than the one that refused; only the latter knows.",
	}
)

// Rules lists every rule this package may say.
var Rules = []*finding.Rule{ruleSender, ruleOurs, ruleTheirs, ruleNetwork, ruleDelayed, ruleComplaint, ruleDisagree}

func ruleOf(o finding.Owner) *finding.Rule {
	switch o {
	case finding.OwnerSelf, finding.OwnerDomain:
		return ruleOurs
	case finding.OwnerRecipient, finding.OwnerListOperator:
		return ruleTheirs
	case finding.OwnerNetwork, finding.OwnerNobody:
		return ruleNetwork
	}
	return ruleSender
}
