package content

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	gmailRef = finding.Ref{Title: "Google: Email sender guidelines", URL: "https://support.google.com/mail/answer/81126"}

	rulePhrases = &finding.Rule{
		ID: "content.phrases", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Words that filters dislike", Says: "The text uses words that filters dislike ({{.Group}}): {{list .Words}}", OK: "The text has no words that filters dislike",
		Why:    "Learnt filters have seen these words in junk far more often than in mail that people want; each adds to the score.",
		Repair: "Say the same in plain words. A single one of them in a long text does no harm.",
	}
	ruleCapitals = &finding.Rule{
		ID: "content.capitals", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Shouting", Says: "{{.Percent}} % of the letters are capitals", OK: "The text does not shout",
		Why:    "Filters and readers take a text in capitals for advertising.",
		Repair: "Write in sentences; keep capitals for names and first letters.",
	}
	ruleSubject = &finding.Rule{
		ID: "content.subject", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Subject that looks like junk", Says: "The subject {{.What}}: {{.Subject}}", OK: "The subject is sound",
		Why:    "The subject is the first thing filters and readers judge.",
		Repair: "Say in the subject what the message is about, in one plain line.",
	}
	ruleEmpty = &finding.Rule{
		ID: "content.empty", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Nothing to read", Says: "The message has no text a reader can see",
		Why:    "Filters cannot tell what an empty message is for and take it for a probe or a carrier.",
		Repair: "Write a line of text, also where the point is the attachment.",
	}
	ruleImageOnly = &finding.Rule{
		ID: "content.image-only", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Picture instead of text", Says: "The message is {{.Images}} {{plural .Images \"picture\" \"pictures\"}} and {{.Chars}} characters of text", OK: "There is text beside the pictures",
		Why:    "Spam is often sent as a picture so that filters cannot read it; programs that do not load pictures show nothing.",
		Repair: "Put what matters into text, and give pictures an alternative text.",
	}
	ruleRatio = &finding.Rule{
		ID: "content.ratio", Severity: finding.Note, Owner: finding.OwnerSender,
		Title: "Much markup for little text", Says: "Only {{.Percent}} % of the HTML is text a reader sees",
		Why: "Templates of marketing programs look like this; some filters count it.",
	}
	ruleNoPlain = &finding.Rule{
		ID: "content.no-plain-text", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "HTML without a plain text", Says: "The message is HTML only", OK: "There is a plain text part",
		Why:    "Programs that show no HTML show nothing, and filters count it.",
		Repair: "Send multipart/alternative with a text/plain part first.",
		Refs:   []finding.Ref{finding.RFC(2046, "5.1.4")},
	}
	ruleHidden = &finding.Rule{
		ID: "content.hidden-text", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Hidden text", Says: "{{.Chars}} characters are styled so that no reader sees them", OK: "No text is hidden",
		Why:    "Spammers hide harmless text to fool filters, so filters look for it. A short preview line is usual and does no harm.",
		Repair: "Take out what is not meant to be read; keep a preview line under 150 characters.",
	}
	ruleTiny = &finding.Rule{
		ID: "content.tiny-text", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Text too small to read", Says: "{{.Chars}} characters are set too small to read", OK: "All text can be read",
		Why:    "Tiny text is a way to hide words from readers, so filters count it.",
		Repair: "Set text at nine points or more.",
	}
	ruleBroken = &finding.Rule{
		ID: "content.broken-html", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Broken HTML", Says: "The HTML is broken: {{.Unclosed}} elements not closed, {{.Misnested}} wrongly nested, {{.Stray}} ends of nothing", OK: "The HTML is well formed",
		Why:    "Programs repair it each in its own way, so the message looks broken somewhere; filters count it.",
		Repair: "Run the template through an HTML checker and mend it.",
	}
	ruleForm = &finding.Rule{
		ID: "content.form", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Form in a message", Says: "The HTML has {{.N}} {{plural .N \"form\" \"forms\"}}", OK: "There is no form",
		Why:    "Forms in mail ask for passwords; most programs disable them, and filters count them.",
		Repair: "Link to a page with the form.",
	}
	ruleScript = &finding.Rule{
		ID: "content.script", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Script or embedded object", Says: "The HTML has {{.Scripts}} {{plural .Scripts \"script\" \"scripts\"}} or event handlers and {{.Objects}} embedded {{plural .Objects \"object\" \"objects\"}}{{if .Refresh}}, and sends the reader on by itself{{end}}", OK: "There is no script",
		Why:    "No mail program runs scripts; servers refuse or strip such messages.",
		Repair: "Take scripts, iframes, objects and refresh out of the message.",
	}
	ruleAlt = &finding.Rule{
		ID: "content.no-alt", Severity: finding.Note, Owner: finding.OwnerSender,
		Title: "Pictures without alternative text", Says: "{{.N}} of {{.Images}} {{plural .Images \"picture has\" \"pictures have\"}} no alternative text",
		Why: "Where pictures are not loaded, and for readers who cannot see, nothing stands in their place.",
	}
	ruleStructure = &finding.Rule{
		ID: "content.structure", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Broken MIME structure", Says: "The structure of the message is broken: {{list .Faults}}", OK: "The structure of the message is sound",
		Why:    "Programs guess what was meant, filters and virus scanners guess otherwise; some servers refuse it.",
		Repair: "Let a mail library build the message instead of joining strings.",
		Refs:   []finding.Ref{finding.RFC(2045, ""), finding.RFC(2046, "5.1")},
	}
	ruleTextDiffers = &finding.Rule{
		ID: "link.text-differs", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Link that leads elsewhere than it says", Says: "The link shows {{.Shown}} but leads to {{.Host}}", OK: "Every link leads where it says",
		Why:    "The sign of phishing that filters and programs warn of first. Click counters of mailing services cause it too.",
		Repair: "Show words instead of an address, or let the click counter run under your own domain.",
	}
	ruleShort = &finding.Rule{
		ID: "link.shortener", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Shortened link", Says: "{{.N}} {{plural .N \"link goes\" \"links go\"}} through a shortener ({{.Host}})", OK: "No link goes through a shortener",
		Why:    "Shorteners hide where a link leads and share the reputation of everybody who uses them; several are on domain blocklists.",
		Repair: "Link to the page itself, under your own domain.",
	}
	ruleBareIP = &finding.Rule{
		ID: "link.ip-address", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Link to a bare address", Says: "A link leads to the bare address {{.Host}}", OK: "No link leads to a bare address",
		Why:    "Honest sites have names; filters count it heavily.",
		Repair: "Give the site a name and link to that.",
	}
	ruleLinkAlike = &finding.Rule{
		ID: "link.lookalike", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Link to a look-alike domain", Says: "A link leads to {{.Host}}{{if .Shown}} (shown as {{.Shown}}){{end}}, which imitates {{.Real}} of {{.Brand}}", OK: "No link leads to a look-alike domain",
		Why:    "Readers take the page for the real one and give it their password.",
		Repair: "Do not open it. If it is your own domain, expect filters to distrust it, and choose another.",
	}
	ruleUser = &finding.Rule{
		ID: "link.user-part", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Link with a user name before the host", Says: "A link hides its host {{.Host}} behind a user name", OK: "No link hides its host behind a user name",
		Why:    "What stands before the @ looks like the host and is not; browsers and filters warn of it.",
		Repair: "Take the user name out of the link.",
		Refs:   []finding.Ref{finding.RFC(3986, "7.6")},
	}
	ruleScheme = &finding.Rule{
		ID: "link.scheme", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Link that is no web address", Says: "A link has the scheme {{.Scheme}}", OK: "All links are web or mail addresses",
		Why:    "javascript:, data: and file: links are refused or stripped.",
		Repair: "Link to web pages by https.",
	}
	ruleBlocked = &finding.Rule{
		ID: "link.blocked", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Link to a blocklisted domain", Says: "{{.Domain}}, which a link leads to, is listed by {{list .Lists}}", OK: "None of the {{.N}} domains linked to is blocklisted",
		Why:    "Filters look up every domain in a message; one listed domain is enough to be refused.",
		Repair: "Take the link out, or get the domain delisted first.",
	}
	ruleDangerous = &finding.Rule{
		ID: "attachment.dangerous", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Attachment that runs a program", Says: "The attachment {{.Name}} runs a program when opened", OK: "No attachment runs a program",
		Why:    "Nearly all servers refuse or strip such files, also inside archives.",
		Repair: "Send a link to a download over https instead.",
		Refs:   []finding.Ref{{Title: "Google: File types blocked in Gmail", URL: "https://support.google.com/mail/answer/6590"}},
	}
	ruleDouble = &finding.Rule{
		ID: "attachment.double-extension", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Attachment with a misleading name", Says: "The attachment {{.Name}} looks like a document by its name but runs a program", OK: "No attachment has a misleading name",
		Why:    "The oldest trick of malware; scanners refuse it by name.",
		Repair: "Do not open it.",
	}
	ruleInside = &finding.Rule{
		ID: "attachment.in-archive", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Program in an archive", Says: "The archive {{.Name}} holds programs: {{list .Inside}}", OK: "No archive holds programs",
		Why:    "Scanners look into archives and refuse what they would refuse outside.",
		Repair: "Send a link to a download over https instead.",
	}
	ruleMacro = &finding.Rule{
		ID: "attachment.macro", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Office file with macros", Says: "The attachment {{.Name}} carries macros", OK: "No attachment carries macros",
		Why:    "Macros are the usual way malware comes by mail; many organisations refuse such files.",
		Repair: "Save the file without macros (.docx, .xlsx), or share it another way.",
	}
	ruleDisguised = &finding.Rule{
		ID: "attachment.disguised", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Attachment that is something else than its name says", Says: "The attachment {{.Name}} is {{.What}}", OK: "Attachments are what their names say",
		Why:    "A file that hides what it is gets refused by scanners.",
		Repair: "Name the file by what it is.",
	}
	ruleEncrypted = &finding.Rule{
		ID: "attachment.encrypted", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Encrypted attachment", Says: "The attachment {{.Name}} is encrypted, so no scanner can look into it", OK: "No attachment is encrypted",
		Why:    "Malware comes in encrypted archives with the password in the text, so many servers quarantine them.",
		Repair: "Agree with the recipient on another way, such as a shared folder.",
	}
	rulePage = &finding.Rule{
		ID: "attachment.web-page", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Web page as attachment", Says: "The attachment {{.Name}} is a web page", OK: "No attachment is a web page",
		Why:    "A page on the reader's own disk is the usual carrier of faked login forms; many servers refuse it.",
		Repair: "Send a PDF or a link.",
	}
	ruleUnsubscribe = &finding.Rule{
		ID: "list.no-unsubscribe", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Mailing without List-Unsubscribe", Says: "The message is a mailing but has no List-Unsubscribe field", OK: "The mailing can be unsubscribed from",
		Why:    "Google and Yahoo want it of everybody who sends many messages; without it readers use the spam button instead.",
		Repair: "Add List-Unsubscribe with an https address and List-Unsubscribe-Post: List-Unsubscribe=One-Click, both signed by DKIM.",
		Refs:   []finding.Ref{finding.RFC(2369, "3.2"), finding.RFC(8058, "3.1"), gmailRef},
	}
	ruleOneClick = &finding.Rule{
		ID: "list.one-click", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Unsubscribing takes more than one click", Says: "List-Unsubscribe is there, but unsubscribing by one click is not: {{.What}}", OK: "One click unsubscribes (RFC 8058)",
		Why:    "Google and Yahoo want one-click unsubscribing of bulk senders.",
		Repair: "Give an https address in List-Unsubscribe and add List-Unsubscribe-Post: List-Unsubscribe=One-Click.",
		Refs:   []finding.Ref{finding.RFC(8058, "3.1"), gmailRef},
	}
	ruleSize = &finding.Rule{
		ID: "size.limit", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "Too big for some servers", Says: "The message has {{size .Bytes}}, more than these take: {{list .Providers}}", OK: "{{size .Bytes}}: small enough for all",
		Why:    "Servers refuse what is beyond their limit (552 5.3.4). Encoding makes files a third bigger on the way.",
		Repair: "Send a link to the file, or make it smaller.",
		Refs:   []finding.Ref{finding.RFC(1870, "6.1")},
	}
)

// Rules lists what Judge may say.
var Rules = []*finding.Rule{rulePhrases, ruleCapitals, ruleSubject, ruleEmpty, ruleImageOnly, ruleRatio, ruleNoPlain, ruleHidden, ruleTiny, ruleBroken, ruleForm, ruleScript, ruleAlt, ruleStructure,
	ruleTextDiffers, ruleShort, ruleBareIP, ruleLinkAlike, ruleUser, ruleScheme, ruleBlocked,
	ruleDangerous, ruleDouble, ruleInside, ruleMacro, ruleDisguised, ruleEncrypted, rulePage, ruleUnsubscribe, ruleOneClick, ruleSize}
