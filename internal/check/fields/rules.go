package fields

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleFromMissing = &finding.Rule{
		ID: "header.from-missing", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "No From field", Says: "The message has no From field", OK: "From is there once and can be read",
		Why:    "From is required. Many servers refuse a message without it, and DMARC has nothing to hold on to.",
		Repair: "Make the sending program write a From field with one mailbox.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.6"), finding.RFC(5322, "3.6.2")},
	}
	ruleFromBad = &finding.Rule{
		ID: "header.from-unreadable", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "From field without a mailbox", Says: "No mailbox can be read from the From field: {{.Raw}}",
		Why:    "Receivers refuse or junk a message whose author they cannot read, and DMARC cannot be checked.",
		Repair: "Write From as: Name <user@domain>.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.4"), finding.RFC(5322, "3.6.2")},
	}
	ruleDateMissing = &finding.Rule{
		ID: "header.date-missing", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "No Date field", Says: "The message has no Date field", OK: "Date is there and can be read",
		Why:    "Date is required; filters count its absence against the message, and mailboxes sort it wrong.",
		Repair: "Make the sending program write a Date field.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.6"), finding.RFC(5322, "3.6.1")},
	}
	ruleDateBad = &finding.Rule{
		ID: "header.date-bad", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Broken Date field", Says: "The Date field is not of RFC 5322 ({{list .Faults}}): {{.Date}}",
		Why:    "Filters count a broken date against the message, and programs sort it wrong.",
		Repair: "Write the date as \"Mon, 5 Feb 2024 10:00:00 +0800\".",
		Refs:   []finding.Ref{finding.RFC(5322, "3.3")},
	}
	ruleDateOff = &finding.Rule{
		ID: "header.date-off", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Date far from the time of arrival", Says: "The Date field is {{.Span}} {{.Dir}} the arrival at our border",
		Why:    "A wrong date puts the message to the top or far down in the mailbox; spammers do it on purpose, so filters count it.",
		Repair: "Set the clock and the time zone of the sending machine. Where the message waited in a queue, see the slow hop instead.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.6.1")},
		After:  []string{"received.slow-hop"},
	}
	ruleIDMissing = &finding.Rule{
		ID: "header.message-id-missing", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "No Message-ID", Says: "The message has no Message-ID", OK: "Message-ID is there",
		Why:    "Without it threads break, the message cannot be traced, and several large providers refuse it.",
		Repair: "Make the sending program write a Message-ID that is unique and ends in a domain of its own.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.6.4")},
	}
	ruleIDBad = &finding.Rule{
		ID: "header.message-id-bad", Severity: finding.Note, Owner: finding.OwnerSender,
		Title: "Message-ID of a wrong form", Says: "The Message-ID is not of the form <unique@domain>: {{.ID}}",
		Why:    "Filters count it, and some programs cannot find answers to it.",
		Repair: "Write the Message-ID as <unique@domain>, without blanks.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.6.4")},
	}
	ruleDuplicate = &finding.Rule{
		ID: "header.duplicate", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Field that may stand only once stands more often", Says: "{{.Field}} stands {{.N}} times; it may stand once", OK: "No field stands more often than it may",
		Why:    "Programs show different copies: what a filter checked is then not what the reader sees. Google refuses such messages (550 5.7.1, \"multiple … headers\").",
		Repair: "Find the program that adds the second copy (often a gateway, a mailing list or a script) and make it replace the first.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.6")},
	}
	ruleEightBit = &finding.Rule{
		ID: "header.non-ascii", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Unencoded text beyond ASCII in the header", Says: "The header has {{.What}} without encoding (line {{.Line}})", OK: "All text beyond ASCII in the header is encoded",
		Why:    "Each program guesses the charset for itself: names and subjects turn into garbage, and filters count it.",
		Repair: "Encode such text by RFC 2047 (=?utf-8?B?…?=); UTF-8 itself is right only where all hosts offer SMTPUTF8.",
		Refs:   []finding.Ref{finding.RFC(2047, "1"), finding.RFC(6532, "3")},
	}
	ruleForm = &finding.Rule{
		ID: "header.malformed", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Header of a broken form", Says: "{{.What}} (line {{.Line}})", OK: "The header is well formed",
		Why:    "Servers repair such a header or refuse it; a repair on the way breaks DKIM signatures.",
		Repair: "Make the sending program write header lines as \"Name: value\", folded at blanks, each ended by CRLF, with one empty line before the body.",
		Refs:   []finding.Ref{finding.RFC(5322, "2.2")},
	}
	ruleReplyTo = &finding.Rule{
		ID: "header.reply-to-differs", Severity: finding.Note, Owner: finding.OwnerSender,
		Title: "Answers go to another domain", Says: "Answers go to {{.ReplyTo}}, but From is {{.From}}",
		Why:  "Fine for newsletters and ticket systems; the usual trick in payment fraud.",
		Refs: []finding.Ref{finding.RFC(5322, "3.6.2")},
	}
	ruleReplyFree = &finding.Rule{
		ID: "header.reply-to-freemail", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Answers go to a free mailbox", Says: "From is {{.From}}, but answers go to the free mailbox {{.ReplyTo}}",
		Why:    "The pattern of payment fraud: the name of a company in From, the answer to a mailbox anybody can open.",
		Repair: "Ask the person named in From by another way before you answer or pay.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.6.2")},
	}
	ruleReturn = &finding.Rule{
		ID: "header.return-path-differs", Severity: finding.Note, Owner: finding.OwnerSender,
		Title: "Envelope sender of another domain", Says: "The envelope sender is {{.ReturnPath}}, From is {{.From}}",
		Why:  "SPF then speaks for {{.Domain}} only, and DMARC needs an aligned DKIM signature. Usual for mailing services and lists.",
		Refs: []finding.Ref{finding.RFC(5321, "4.4"), finding.RFC(7489, "3.1")},
	}
	ruleDisplay = &finding.Rule{
		ID: "header.display-name-address", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Display name that shows another address", Says: "The display name reads {{.Shown}}, but the mail is from {{.From}}",
		Why:    "Many programs show only the display name, so the reader takes the wrong address for the sender.",
		Repair: "Go by the address in angle brackets. A sender of good faith takes the address out of the display name.",
		Refs:   []finding.Ref{finding.RFC(5322, "3.4")},
	}
)

// Rules lists what Judge may say.
var Rules = []*finding.Rule{ruleFromMissing, ruleFromBad, ruleDateMissing, ruleDateBad, ruleDateOff, ruleIDMissing, ruleIDBad,
	ruleDuplicate, ruleEightBit, ruleForm, ruleReplyTo, ruleReplyFree, ruleReturn, ruleDisplay}
