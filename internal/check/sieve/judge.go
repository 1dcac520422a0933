package sieve

import (
	"maps"
	"strconv"

	"github.com/mailwhy/mailwhy/internal/finding"
	lang "github.com/mailwhy/mailwhy/internal/mail/sieve"
)

// lint turns the faults of a script into findings.
func (s *Script) lint(target finding.Subject) []finding.Finding {
	if s.Fault != nil {
		f := s.Fault
		return []finding.Finding{ruleSyntax.Failed(target, finding.Args{"Line": f.Pos.Line, "Column": f.Pos.Col, "What": syntaxSays(f)}).
			With(finding.Evidence{Source: "file", Place: s.Name + ":" + strconv.Itoa(f.Pos.Line), Raw: f.Word})}
	}
	out := []finding.Finding{ruleSyntax.Passed(target, nil)}
	if !s.Script.Refused() {
		out = append(out, ruleMeaning.Passed(target, nil))
	}
	for _, p := range s.Script.Problems {
		f := problem(target, p)
		if f.Outcome == finding.Fail {
			f = f.With(finding.Evidence{Source: "file", Place: s.Name + ":" + strconv.Itoa(p.Pos.Line), Raw: p.Word})
		}
		out = append(out, f)
	}
	return out
}

func syntaxSays(f *lang.SyntaxError) finding.Sentence {
	args := finding.Args{"Word": f.Word, "Max": lang.MaxDepth}
	switch f.Code {
	case lang.EndsEarly:
		return finding.S("the script ends in the middle of a command: a }, ) or ; is missing", args)
	case lang.OpenString:
		return finding.S("a string begins here and is never closed: {{.Word}}", args)
	case lang.OpenComment:
		return finding.S("a comment begins here with /* and is never closed", args)
	case lang.NoSemicolon:
		return finding.S("the command {{.Word}} does not end with ;", args)
	case lang.BadNumber:
		return finding.S("{{.Word}} is no number that Sieve knows (digits, then K, M or G)", args)
	case lang.TooDeep:
		return finding.S("blocks or tests lie deeper than {{.Max}} levels", args)
	case lang.TooBig:
		return finding.S("the script is bigger than any server takes", args)
	case lang.BadCharacter:
		return finding.S("no word of Sieve begins with {{.Word}}", args)
	}
	return finding.S("{{.Word}} may not stand here", args)
}

func problem(target finding.Subject, p lang.Problem) finding.Finding {
	args := finding.Args{"Line": p.Pos.Line, "Column": p.Pos.Col, "Word": p.Word, "More": p.More}
	with := func(rule *finding.Rule, what finding.Sentence) finding.Finding {
		own := maps.Clone(args) // what holds args itself, so it must not get into them
		own["What"] = what
		return rule.Failed(target, own)
	}
	switch p.Code {
	case lang.MissingRequire:
		args["Ext"], args["By"] = p.Word, p.More
		return ruleRequire.Failed(target, args).Mend(finding.Step{Kind: finding.Configure, Target: "sieve", New: `require "` + p.Word + `";`})
	case lang.BadRegex:
		args["Text"] = p.More
		return ruleRegex.Failed(target, args)
	case lang.MatchesAll:
		args["By"] = p.More
		return ruleAll.Failed(target, args)
	case lang.Unreachable:
		args["Stop"] = p.More
		return ruleUnreachable.Failed(target, args)
	case lang.UnusedRequire:
		args["Ext"] = p.Word
		return ruleUnused.Failed(target, args)
	case lang.NotRun:
		return ruleNotRun.Untested(target, finding.S("the extension {{.Ext}} of line {{.Line}} is not run here: what its words do is not known", finding.Args{"Ext": p.Word, "Line": p.Pos.Line}))
	case lang.HeaderColon:
		return with(ruleNever, finding.S("no header is called \"{{.Word}}\": write the name without colon and spaces", args))
	case lang.WildcardLiteral:
		return with(ruleNever, finding.S("the * in \"{{.Word}}\" stands for itself here; wildcards need :matches", args))
	case lang.NotAnAddress:
		return with(ruleNever, finding.S("the header {{.Word}} holds no addresses; use the test header", args))
	case lang.NeverTrue:
		return with(ruleNever, finding.S("the condition is false by itself: the rule is switched off", args))
	}
	return with(ruleMeaning, meaningSays(p, args))
}

func meaningSays(p lang.Problem, args finding.Args) finding.Sentence {
	switch p.Code {
	case lang.LateRequire:
		return finding.S("require stands behind another command; it must come first", args)
	case lang.UnknownRequire:
		return finding.S("no extension is called \"{{.Word}}\"", args)
	case lang.UnknownCommand:
		return finding.S("there is no command {{.Word}}", args)
	case lang.UnknownTest:
		return finding.S("there is no test {{.Word}}", args)
	case lang.UnknownTag:
		return finding.S("{{.More}} takes no {{.Word}}", args)
	case lang.TagConflict:
		return finding.S("{{.Word}} and {{.More}} exclude each other", args)
	case lang.TestPlace:
		return finding.S("{{.Word}} has too few or too many tests", args)
	case lang.BlockPlace:
		return finding.S("{{.Word}} lacks its block in braces, or has one where none may be", args)
	case lang.ElseWithoutIf:
		return finding.S("{{.Word}} does not follow an if or elsif", args)
	case lang.BadComparator:
		return finding.S("there is no comparator \"{{.Word}}\"", args)
	case lang.BadRelation:
		return finding.S("\"{{.Word}}\" is no relation; one of gt, ge, lt, le, eq, ne", args)
	case lang.BadDatePart:
		return finding.S("\"{{.Word}}\" is no part of a date", args)
	case lang.BadAddress:
		return finding.S("\"{{.Word}}\" is no address for {{.More}}", args)
	case lang.BadName:
		return finding.S("\"{{.Word}}\" is no name for a variable", args)
	}
	return finding.S("{{.Word}} has too few, too many or the wrong kind of arguments", args)
}

// judgeResult says what a run did that somebody who misses the message must know.
func judgeResult(target finding.Subject, res *lang.Result) []finding.Finding {
	var out []finding.Finding
	stays := false
	for _, a := range res.Actions {
		stays = stays || a.Kind == lang.Keep || a.Kind == lang.FileInto
	}
	for _, a := range res.Actions {
		args := finding.Args{"Line": a.Line, "Target": a.Target, "Reason": a.Reason, "Because": 0, "Gone": !stays}
		if n := len(a.Because); n > 0 {
			args["Because"] = a.Because[n-1]
		}
		switch a.Kind {
		case lang.Discard:
			if len(res.Actions) == 1 {
				out = append(out, ruleDiscarded.Failed(target, args))
			}
		case lang.Reject:
			out = append(out, ruleRejected.Failed(target, args))
		case lang.FileInto:
			if !a.Copy {
				out = append(out, ruleFiled.Failed(target, args))
			}
		case lang.Redirect:
			out = append(out, ruleForwarded.Failed(target, args))
		case lang.Vacation:
			if a.Withheld != "" {
				args["Why"] = withheldSays(a.Withheld)
				out = append(out, ruleWithheld.Failed(target, args))
			}
		}
	}
	return out
}

func withheldSays(why string) finding.Sentence {
	switch why {
	case "null-sender":
		return finding.S("its envelope sender is empty", nil)
	case "sender":
		return finding.S("its sender is a list or a mail server", nil)
	case "not-addressed":
		return finding.S("the user's address stands in neither To nor Cc; name other addresses with :addresses", nil)
	}
	return finding.S("it has a header {{.Header}} of automatic or list mail", finding.Args{"Header": why})
}

func actionMark(k lang.Kind) *finding.Verdict {
	v := finding.VerdictPass
	switch k {
	case lang.Discard, lang.Reject:
		v = finding.VerdictWarning
	case lang.FileInto, lang.Redirect:
		v = finding.VerdictNote
	}
	return &v
}

func actionSays(a lang.Action) finding.Sentence {
	args := finding.Args{"Target": a.Target, "Reason": a.Reason, "Flags": a.Flags}
	switch a.Kind {
	case lang.Discard:
		return finding.S("thrown away, nobody is told", args)
	case lang.Reject:
		return finding.S("refused: {{.Reason}}", args)
	case lang.FileInto:
		return finding.S("filed into {{.Target}}{{if .Flags}}, flags {{join .Flags \" \"}}{{end}}", args)
	case lang.Redirect:
		return finding.S("sent on to {{.Target}}", args)
	case lang.Vacation:
		if a.Withheld != "" {
			return finding.S("no automatic answer", args)
		}
		return finding.S("automatic answer to {{.Target}}", args)
	}
	if a.Implicit {
		return finding.S("kept in the inbox, because no rule says otherwise{{if .Flags}}; flags {{join .Flags \" \"}}{{end}}", args)
	}
	return finding.S("kept in the inbox{{if .Flags}}, flags {{join .Flags \" \"}}{{end}}", args)
}

func actionSection(res *lang.Result) finding.Section {
	sec := finding.Section{
		Title:   finding.S("What happens to the message", nil),
		Columns: []finding.Sentence{finding.S("action", nil), finding.S("line", nil), finding.S("inside the conditions of line", nil)},
	}
	for _, a := range res.Actions {
		if a.Kind == lang.Discard && len(res.Actions) > 1 {
			continue // it only takes back the keep nobody wrote
		}
		row := finding.Cells(actionSays(a), lineCell(a.Line), finding.Raw(lines(a.Because)))
		row.Mark = actionMark(a.Kind)
		sec.Rows = append(sec.Rows, row)
	}
	return sec
}

// stepSection is the run step by step: conditions with the values they saw, indented as the script is.
func stepSection(res *lang.Result) finding.Section {
	sec := finding.Section{
		Title:   finding.S("Step by step", nil),
		Columns: []finding.Sentence{finding.S("line", nil), finding.S("what the script says", nil), finding.S("result", nil), finding.S("seen", nil)},
		Folded:  len(res.Steps) > 60,
	}
	for _, s := range res.Steps {
		seen := ""
		for i, v := range s.Saw {
			if i > 0 {
				seen += " | "
			}
			seen += v
		}
		row := finding.Cells(lineCell(s.Line), finding.Raw(s.Text), stepSays(s), finding.Raw(seen))
		row.Depth = s.Depth
		sec.Rows = append(sec.Rows, row)
	}
	return sec
}

func stepSays(s lang.Step) finding.Sentence {
	switch {
	case s.Kind == "skipped":
		return finding.S("not run here", nil)
	case s.Kind == "stop":
		return finding.S("end", nil)
	case s.Kind == "action" || s.Kind == "set":
		return finding.S("done", nil)
	case s.Held:
		return finding.S("yes", nil)
	}
	return finding.S("no", nil)
}
