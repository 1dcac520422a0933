package registry

import (
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

var ruleHolder = &finding.Rule{
	ID: "registry.holder", Severity: finding.Note, Owner: finding.OwnerNetwork,
	Title:  "the registry knows no holder",
	Says:   "{{.Server}} knows nothing of {{.Object}}",
	OK:     "{{.Object}} is in {{.Range}}{{if .Name}} ({{.Name}}){{end}}{{if .Holder}}, held by {{.Holder}}{{end}}{{if .Country}}, {{.Country}}{{end}}",
	Why:    "Without a holder there is nobody to ask for a reverse name or to report abuse to.",
	Repair: "Ask the provider that announces the address.",
	Refs:   []finding.Ref{finding.RFC(9083, "5.4"), finding.RFC(3912, "")},
}

var ruleAbuse = &finding.Rule{
	ID: "registry.no-abuse-contact", Severity: finding.Note, Owner: finding.OwnerNetwork,
	Title:  "no contact for abuse",
	Says:   "{{.Server}} names no address for reports of abuse from {{.Range}}",
	OK:     "abuse of {{.Range}} is reported to {{list .Abuse}}",
	Why:    "Complaints about spam from this network reach nobody, so receivers and blocklists block instead of asking.",
	Repair: "Have the holder add an abuse contact to the network's entry in the registry.",
	Refs:   []finding.Ref{finding.RFC(2142, "4"), finding.RFC(9083, "10.2.4")},
}

var ruleRPKI = &finding.Rule{
	ID: "registry.rpki-invalid", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title:  "the route is RPKI-invalid",
	Says:   "the route {{.Prefix}} of AS{{.AS}} is RPKI-invalid: {{if eq .Reason \"length\"}}the prefix is longer than its ROA allows{{else if eq .Reason \"as\"}}its ROA names another network{{else}}it does not match its ROA{{end}}",
	OK:     "the route {{.Prefix}} of AS{{.AS}} is RPKI-valid",
	Why:    "Networks that validate routes drop this one, so from parts of the Internet neither mail nor answers come here. Either the ROA is out of date or somebody announces what is not theirs.",
	Repair: "Have the holder of {{.Prefix}} correct its ROA in the registry's portal, or the provider announce the prefix as the ROA says.",
	Refs:   []finding.Ref{finding.RFC(6811, "2"), finding.RFC(7115, "5")},
}

var ruleNoROA = &finding.Rule{
	ID: "registry.rpki-none", Severity: finding.Note, Owner: finding.OwnerNetwork,
	Title:  "the route has no ROA",
	Says:   "no ROA covers the route {{.Prefix}} of AS{{.AS}}",
	Why:    "Anybody can announce the prefix and take its traffic, mail included, and nobody's router would notice.",
	Repair: "Have the holder of {{.Prefix}} create a ROA in the registry's portal.",
	Refs:   []finding.Ref{finding.RFC(6811, "2"), finding.RFC(9582, "")},
}

var ruleNew = &finding.Rule{
	ID: "registry.domain-new", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "the domain is very young",
	Says:   "{{.Domain}} was registered {{.Days}} {{plural .Days \"day\" \"days\"}} ago ({{.Created}})",
	OK:     "{{.Domain}} has been registered since {{.Created}}",
	Why:    "Nearly all spam domains are young, so filters distrust every domain of less than a month, whatever it sends.",
	Repair: "Send little and to people who expect it until the domain is a month old; it gets better by itself.",
	Refs:   []finding.Ref{finding.RFC(9083, "4.5")},
}

var ruleExpires = &finding.Rule{
	ID: "registry.domain-expires", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "the registration of the domain ends",
	Says:   "the registration of {{.Domain}} {{if .Over}}ended{{else}}ends{{end}} on {{.Expires}}",
	OK:     "{{.Domain}} is registered until {{.Expires}}",
	Why:    "When it ends the domain leaves the DNS within days: no mail goes in or out, and after a while anybody can register it and read what is sent to it.",
	Repair: "Renew it at {{if .Registrar}}{{.Registrar}}{{else}}the registrar{{end}}, and switch on automatic renewal.",
	Refs:   []finding.Ref{finding.RFC(9083, "4.5")},
}

var ruleHold = &finding.Rule{
	ID: "registry.domain-on-hold", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "the domain is on hold",
	Says:   "the registry has {{.Domain}} on {{.Status}}: it is not in the DNS",
	Why:    "Nobody can find the domain, so all mail to it is returned and all mail from it is refused.",
	Repair: "Ask {{if .Registrar}}{{.Registrar}}{{else}}the registrar{{end}} for the reason (unpaid, contact address not confirmed, abuse) and have the hold lifted.",
	Refs:   []finding.Ref{finding.RFC(5731, "2.3"), finding.RFC(8056, "2")},
}

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{ruleHolder, ruleAbuse, ruleRPKI, ruleNoROA, ruleNew, ruleExpires, ruleHold}

// Thresholds.
const (
	young     = 30 * 24 * time.Hour // filters distrust younger domains
	endsSoon  = 30 * 24 * time.Hour
	endsInNow = 7 * 24 * time.Hour
)

// JudgeNetwork says what to think of a network's entry.
func JudgeNetwork(f *Facts, at finding.Subject) []finding.Finding {
	switch {
	case f.Fault != "":
		return []finding.Finding{ruleHolder.Untested(at, f.reason())}
	case f.Unknown:
		return []finding.Finding{ruleHolder.Failed(at, finding.Args{"Server": f.Server, "Object": f.Object})}
	}
	out := []finding.Finding{ruleHolder.Passed(at, finding.Args{"Object": f.Object, "Range": f.Range, "Name": f.Name, "Holder": f.Holder, "Country": f.Country})}
	args := finding.Args{"Server": f.Server, "Range": f.Range, "Abuse": f.Abuse}
	if len(f.Abuse) == 0 {
		return append(out, ruleAbuse.Failed(at, args))
	}
	return append(out, ruleAbuse.Passed(at, args))
}

func (f *Facts) reason() finding.Sentence {
	if f.why.IsZero() {
		return finding.Raw(f.Fault)
	}
	return f.why
}

// JudgeRoute says what to think of a validator's word. prove is the command that repeats it.
func JudgeRoute(r *RPKI, at finding.Subject, prove finding.Command) []finding.Finding {
	args := finding.Args{"Prefix": r.Prefix.String(), "AS": r.AS, "Reason": r.Reason}
	ev := finding.Evidence{Source: "http", Place: r.Server, Raw: strings.TrimSpace(r.State + " " + r.Reason)}
	switch r.State {
	case "valid":
		return []finding.Finding{ruleRPKI.Passed(at, args)}
	case "invalid":
		return []finding.Finding{ruleRPKI.Failed(at, args).With(ev).Prove(prove)}
	case "not-found":
		return []finding.Finding{ruleNoROA.Failed(at, args).With(ev)}
	}
	why := r.why
	if why.IsZero() {
		why = finding.Raw(r.Fault)
	}
	f := ruleRPKI.Untested(at, why)
	mild := finding.Note // a validator out of reach is no reason to fail
	f.Severity = &mild
	return []finding.Finding{f}
}

// JudgeDomain says what to think of a domain's entry.
func JudgeDomain(f *Facts, prove finding.Command) []finding.Finding {
	at := finding.Domain(f.Object)
	day := func(t time.Time) string { return t.Format(time.DateOnly) }
	args := finding.Args{"Domain": f.Object, "Registrar": f.Registrar}
	switch {
	case f.Fault != "":
		u := ruleNew.Untested(at, f.reason())
		mild := finding.Note
		u.Severity = &mild
		return []finding.Finding{u}
	case f.Unknown:
		return []finding.Finding{ruleHolder.Failed(at, finding.Args{"Server": f.Server, "Object": f.Object})}
	}
	var out []finding.Finding
	with := func(k string, v any) finding.Args {
		a := finding.Args{k: v}
		for k, v := range args {
			a[k] = v
		}
		return a
	}
	for _, s := range f.Status {
		if flat := strings.ToLower(strings.ReplaceAll(s, " ", "")); flat == "clienthold" || flat == "serverhold" || flat == "redemptionperiod" || flat == "pendingdelete" || flat == "inactive" && len(f.Status) == 1 {
			out = append(out, ruleHold.Failed(at, with("Status", s)).With(finding.Evidence{Source: f.Source, Place: f.Server, Raw: strings.Join(f.Status, ", ")}).Prove(prove))
			break
		}
	}
	if !f.Created.IsZero() {
		age := f.at.Sub(f.Created)
		a := with("Created", day(f.Created))
		a["Days"] = max(int(age/(24*time.Hour)), 0)
		if age < young {
			out = append(out, ruleNew.Failed(at, a).With(finding.Evidence{Source: f.Source, Place: f.Server, Raw: f.Created.Format(time.RFC3339)}).Prove(prove))
		} else {
			out = append(out, ruleNew.Passed(at, a))
		}
	}
	if !f.Expires.IsZero() {
		left := f.Expires.Sub(f.at)
		a := with("Expires", day(f.Expires))
		a["Over"] = left < 0
		if left >= endsSoon {
			return append(out, ruleExpires.Passed(at, a))
		}
		x := ruleExpires.Failed(at, a).With(finding.Evidence{Source: f.Source, Place: f.Server, Raw: f.Expires.Format(time.RFC3339)}).Prove(prove)
		if left < endsInNow {
			bad := finding.Error
			x.Severity = &bad
		}
		out = append(out, x)
	}
	return out
}

// Section shows an entry; it is empty where none is known. title names the object's kind.
func Section(title finding.Sentence, f *Facts, r *RPKI) []finding.Section {
	if f == nil || f.Fault != "" || f.Unknown {
		return nil
	}
	s := finding.Section{Title: title}
	add := func(label finding.Sentence, value string) {
		if value != "" {
			s.Rows = append(s.Rows, finding.Cells(label, finding.Raw(value)))
		}
	}
	date := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.DateOnly)
	}
	add(finding.S("range", nil), strings.TrimSpace(f.Range+" "+f.Name))
	add(finding.S("holder", nil), f.Holder)
	add(finding.S("registrar", nil), f.Registrar)
	add(finding.S("country", nil), f.Country)
	add(finding.S("abuse contact", nil), strings.Join(f.Abuse, ", "))
	add(finding.S("registered on", nil), date(f.Created))
	add(finding.S("registered until", nil), date(f.Expires))
	add(finding.S("states", nil), strings.Join(f.Status, ", "))
	if r != nil && r.State != "" {
		add(finding.Raw("RPKI"), strings.TrimSpace(r.State+" "+r.Reason)+" (AS"+strconv.FormatUint(uint64(r.AS), 10)+" "+r.Prefix.String()+")")
	}
	add(finding.S("told by", nil), strings.ToUpper(f.Source)+" "+f.Server)
	return []finding.Section{s}
}
