package sieve

import "maps"

// shape says what a command or test takes. Positional arguments: 's' string, 'l' string or list, 'n' number; a letter
// in upper case may be left out in front (RFC 5232 section 3: the name of a variable).
type shape struct {
	ext   string // the extension it belongs to, "" for the base
	args  string
	tags  map[string]tagShape
	tests byte // 0 none, '1' one, '*' a list
	block bool
}

// tagShape says what a tag takes: the letter of its value or 0, the extension it needs, and the group of which only one
// may stand.
type tagShape struct {
	arg   byte
	ext   string
	group string
}

const (
	groupMatch = "match"
	groupPart  = "part"
)

func join(ms ...map[string]tagShape) map[string]tagShape {
	out := map[string]tagShape{}
	for _, m := range ms {
		maps.Copy(out, m)
	}
	return out
}

func matchTags() map[string]tagShape {
	return map[string]tagShape{
		"is": {group: groupMatch}, "contains": {group: groupMatch}, "matches": {group: groupMatch},
		"regex": {ext: "regex", group: groupMatch}, "comparator": {arg: 's', group: "comparator"},
		"value": {arg: 's', ext: "relational", group: groupMatch}, "count": {arg: 's', ext: "relational", group: groupMatch},
	}
}

func partTags() map[string]tagShape {
	return map[string]tagShape{
		"all": {group: groupPart}, "localpart": {group: groupPart}, "domain": {group: groupPart},
		"user": {ext: "subaddress", group: groupPart}, "detail": {ext: "subaddress", group: groupPart},
	}
}

func flagTag() map[string]tagShape {
	return map[string]tagShape{"flags": {arg: 'l', ext: "imap4flags", group: "flags"}}
}

// commandShapes are the commands this interpreter knows.
func commandShapes() map[string]shape {
	copyTag := map[string]tagShape{"copy": {ext: "copy", group: "copy"}}
	create := map[string]tagShape{"create": {ext: "mailbox", group: "create"}}
	modifier := func(g string) tagShape { return tagShape{group: g} }
	return map[string]shape{
		"require": {args: "l"}, "stop": {}, "keep": {tags: flagTag()}, "discard": {},
		"if": {tests: '1', block: true}, "elsif": {tests: '1', block: true}, "else": {block: true},
		"redirect":   {args: "s", tags: copyTag},
		"fileinto":   {ext: "fileinto", args: "s", tags: join(copyTag, create, flagTag())},
		"reject":     {ext: "reject", args: "s"},
		"ereject":    {ext: "ereject", args: "s"},
		"setflag":    {ext: "imap4flags", args: "Sl"},
		"addflag":    {ext: "imap4flags", args: "Sl"},
		"removeflag": {ext: "imap4flags", args: "Sl"},
		"vacation": {ext: "vacation", args: "s", tags: map[string]tagShape{
			"days": {arg: 'n', group: "days"}, "seconds": {arg: 'n', ext: "vacation-seconds", group: "days"},
			"subject": {arg: 's', group: "subject"}, "from": {arg: 's', group: "from"},
			"addresses": {arg: 'l', group: "addresses"}, "mime": {group: "mime"}, "handle": {arg: 's', group: "handle"},
		}},
		"set": {ext: "variables", args: "ss", tags: map[string]tagShape{
			"lower": modifier("40"), "upper": modifier("40"), "lowerfirst": modifier("30"), "upperfirst": modifier("30"),
			"quotewildcard": modifier("20"), "quoteregex": {ext: "regex", group: "20"}, "length": modifier("10"),
		}},
	}
}

// testShapes are the tests this interpreter knows.
func testShapes() map[string]shape {
	zone := map[string]tagShape{"zone": {arg: 's', group: "zone"}}
	zones := join(zone, map[string]tagShape{"originalzone": {group: "zone"}})
	return map[string]shape{
		"address":  {args: "ll", tags: join(matchTags(), partTags())},
		"envelope": {ext: "envelope", args: "ll", tags: join(matchTags(), partTags())},
		"header":   {args: "ll", tags: matchTags()}, "exists": {args: "l"},
		"size":  {args: "n", tags: map[string]tagShape{"over": {group: "limit"}, "under": {group: "limit"}}},
		"allof": {tests: '*'}, "anyof": {tests: '*'}, "not": {tests: '1'}, "true": {}, "false": {},
		"string":  {ext: "variables", args: "ll", tags: matchTags()},
		"hasflag": {ext: "imap4flags", args: "Ll", tags: matchTags()},
		"body": {ext: "body", args: "l", tags: join(matchTags(), map[string]tagShape{
			"raw": {group: "transform"}, "text": {group: "transform"}, "content": {arg: 'l', group: "transform"},
		})},
		"date":          {ext: "date", args: "ssl", tags: join(matchTags(), zones)},
		"currentdate":   {ext: "date", args: "sl", tags: join(matchTags(), zone)},
		"mailboxexists": {ext: "mailbox", args: "l"},
	}
}

// Extensions are the capabilities this interpreter runs.
func Extensions() []string {
	return []string{
		"fileinto", "reject", "ereject", "envelope", "copy", "variables", "body", "regex", "imap4flags", "date", "relational",
		"subaddress", "mailbox", "vacation", "vacation-seconds", "encoded-character", "comparator-i;ascii-numeric",
		"comparator-i;ascii-casemap", "comparator-i;octet", "comparator-i;unicode-casemap",
	}
}

// elsewhere are extensions that servers have and this interpreter does not run, with the commands and tests they bring:
// a script that uses them is not called wrong, but what those words do stays unknown.
func elsewhere() map[string][]string {
	return map[string][]string{
		"include": {"include", "return", "global"}, "editheader": {"addheader", "deleteheader"}, "enotify": {"notify", "valid_notify_method", "notify_method_capability"},
		"duplicate": {"duplicate"}, "spamtest": {"spamtest"}, "spamtestplus": {"spamtest"}, "virustest": {"virustest"},
		"environment": {"environment"}, "ihave": {"ihave", "error"}, "foreverypart": {"foreverypart", "break"}, "mime": nil,
		"extracttext": {"extracttext"}, "replace": {"replace"}, "enclose": {"enclose"}, "index": nil, "special-use": {"specialuse_exists"},
		"fcc": nil, "mboxmetadata": {"metadata", "metadataexists"}, "servermetadata": {"servermetadata", "servermetadataexists"},
		"extlists": {"valid_ext_list"}, "imapsieve": nil, "redirect-dsn": nil, "redirect-deliverby": nil, "mailboxid": {"mailboxidexists"}, "snooze": {"snooze"},
		"vnd.dovecot.pipe": {"pipe"}, "vnd.dovecot.filter": {"filter"}, "vnd.dovecot.execute": {"execute"}, "vnd.dovecot.report": {"report"},
		"vnd.dovecot.debug": {"debug_log"}, "vnd.dovecot.environment": nil, "vnd.dovecot.config": nil, "vnd.dovecot.duplicate": nil,
		"vnd.cyrus.log": {"log"}, "imapflags": {"mark", "unmark"}, "notify": {"notify", "denotify"},
	}
}
