package sieve

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

const sample = "Return-Path: <news@shop.example>\r\nTo: Li <li+shop@mine.example>, wang@mine.example\r\nFrom: \"Shop, the\" <news@shop.example>\r\n" +
	"Subject: =?utf-8?B?5Y+R56Wo?= Invoice 4711\r\nDate: Mon, 5 Feb 2024 23:30:00 +0800\r\nX-Spam-Score: 12\r\nContent-Type: text/plain\r\n\r\nDear customer, pay now.\r\n"

func message() *Message {
	h, body, _ := header.ParseBytes([]byte(sample), header.Limits{})
	return &Message{Header: h, Body: body, Size: int64(len(sample)), From: "news@shop.example", To: "li@mine.example"}
}

// do runs a script and writes its actions in short: "fileinto Shop@3 keep".
func do(t *testing.T, src string) string {
	t.Helper()
	s, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	for _, p := range s.Problems {
		if p.Refused() {
			t.Errorf("%s: %+v", src, p)
		}
	}
	res := s.Run(message(), Options{Now: time.Date(2024, 2, 6, 9, 0, 0, 0, time.FixedZone("", 8*3600))})
	var out []string
	for _, a := range res.Actions {
		w := string(a.Kind)
		if a.Target != "" {
			w += " " + a.Target
		}
		if len(a.Flags) > 0 {
			w += " " + strings.Join(a.Flags, ",")
		}
		if a.Withheld != "" {
			w += " !" + a.Withheld
		}
		out = append(out, w)
	}
	return strings.Join(out, "; ")
}

// TestTests holds each test by whether it lets discard run.
func TestTests(t *testing.T) {
	const all = `require ["envelope","variables","body","regex","imap4flags","date","relational","subaddress","mailbox","comparator-i;ascii-numeric"]; `
	for test, want := range map[string]bool{
		`header :contains "subject" "INVOICE"`:                                true,
		`header :contains :comparator "i;octet" "subject" "INVOICE"`:          false,
		`header :is "x-spam-score" "12"`:                                      true,
		`header :matches "subject" "*invoice ????"`:                           true,
		`header :matches "subject" "invoice*"`:                                false,
		`header :contains "subject" "发票"`:                                     true,
		`header :regex "subject" "invoice [0-9]{4}$"`:                         true,
		`header :is ["x-none", "x-spam-score"] ["1", "12"]`:                   true,
		`address :is "from" "news@shop.example"`:                              true,
		`address :domain :is "to" "mine.example"`:                             true,
		`address :localpart :is "to" "li"`:                                    false,
		`address :user :is "to" "li"`:                                         true,
		`address :detail :is "to" "shop"`:                                     true,
		`address :detail :is "from" ""`:                                       false,
		`envelope :domain "from" "shop.example"`:                              true,
		`envelope "to" "li@mine.example"`:                                     true,
		`exists ["subject", "from"]`:                                          true,
		`exists ["subject", "list-id"]`:                                       false,
		`not exists "list-id"`:                                                true,
		`size :over 100`:                                                      true,
		`size :under 1K`:                                                      true,
		`size :over 1M`:                                                       false,
		`allof (true, not false)`:                                             true,
		`anyof (false, false)`:                                                false,
		`header :value "ge" :comparator "i;ascii-numeric" "x-spam-score" "5"`: true,
		`header :value "lt" :comparator "i;ascii-numeric" "x-spam-score" "5"`: false,
		`header :count "eq" "subject" "1"`:                                    true,
		`address :count "gt" "to" "1"`:                                        true,
		`body :contains "pay now"`:                                            true,
		`body :raw :contains "PAY NOW"`:                                       true,
		`body :content "text/html" :contains "pay"`:                           false,
		`date :originalzone "date" "hour" "23"`:                               true,
		`date :zone "+0000" "date" "hour" "15"`:                               true,
		`date "date" "weekday" "1"`:                                           true,
		`date "date" "julian" "60345"`:                                        true,
		`date :value "ge" "date" "iso8601" "2024-02-05T00:00:00+08:00"`:       true,
		`currentdate :is "date" "2024-02-06"`:                                 true,
		`string :is "${unknown}" ""`:                                          true,
		`mailboxexists "Shop"`:                                                true,
		`hasflag :contains "seen"`:                                            false,
	} {
		if got := do(t, all+"if "+test+" { discard; }") == "discard"; got != want {
			t.Errorf("%s: %v", test, got)
		}
	}
}

func TestActions(t *testing.T) {
	for src, want := range map[string]string{
		``:         "keep",
		`discard;`: "discard",
		`require "fileinto"; fileinto "A"; fileinto "A"; keep;`:                                                                        "fileinto A; keep",
		`require ["fileinto","copy"]; fileinto :copy "A";`:                                                                             "fileinto A; keep",
		`redirect "wang@mine.example"; stop; discard;`:                                                                                 "redirect wang@mine.example",
		`require "reject"; reject text: # why` + "\r\nno\r\n..dot\r\n.\r\n;":                                                           "reject",
		`if false { discard; } elsif true { keep; } else { discard; }`:                                                                 "keep",
		`require "imap4flags"; setflag "\\Seen"; addflag ["\\Flagged \\seen"]; keep;`:                                                  `keep \Seen,\Flagged`,
		`require ["imap4flags","fileinto"]; setflag "\\Seen"; fileinto :flags "x" "A"; removeflag "\\seen";`:                           "fileinto A x",
		`require ["variables","fileinto"]; if header :matches "subject" "* invoice *" { set :upper "n" "no${2}"; fileinto "I.${N}"; }`: "fileinto I.NO4711",
		`require ["variables","fileinto"]; set :quotewildcard :length "n" "a*"; fileinto "${n}${ x}";`:                                 "fileinto 3${ x}",
		`require ["encoded-character","fileinto"]; fileinto "${hex: 41 42}${unicode: 4e2d}";`:                                          "fileinto AB中",
		`require "vacation"; vacation :days 3 "away";`:                                                                                 "vacation news@shop.example !not-addressed; keep",
		`require "vacation"; vacation :addresses "wang@mine.example" "away";`:                                                          "vacation news@shop.example; keep",
	} {
		if got := do(t, src); got != want {
			t.Errorf("%s\n got %s\nwant %s", src, got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	for src, want := range map[string]Code{
		`fileinto "A";`:                                        MissingRequire,
		`require "fileinto"; keep;`:                            UnusedRequire,
		`keep; require "fileinto"; fileinto "A";`:              LateRequire,
		`require "filein";`:                                    UnknownRequire,
		`require "include"; include "x";`:                      NotRun,
		`file "A";`:                                            UnknownCommand,
		`if subject "a" { keep; }`:                             UnknownTest,
		`if header :like "a" "b" { keep; }`:                    UnknownTag,
		`if header :is :contains "a" "b" { keep; }`:            TagConflict,
		`redirect;`:                                            WrongArguments,
		`if true { } else { } else { }`:                        ElseWithoutIf,
		`if header "a" "b";`:                                   BlockPlace,
		`if allof true { keep; }`:                              TestPlace,
		`redirect "no address";`:                               BadAddress,
		`if header "Subject:" "b" { keep; }`:                   HeaderColon,
		`if address "subject" "b" { keep; }`:                   NotAnAddress,
		`if address "from" "*@a.example" { keep; }`:            WildcardLiteral,
		`if header :contains "a" "" { keep; }`:                 MatchesAll,
		`stop; keep;`:                                          Unreachable,
		`if true { stop; } keep;`:                              Unreachable,
		`if false { keep; }`:                                   NeverTrue,
		`require "regex"; if header :regex "a" "(b" { keep; }`: BadRegex,
		`if header :comparator "i;x" "a" "b" { keep; }`:        BadComparator,
	} {
		s, err := Parse([]byte(src))
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		found := false
		for _, p := range s.Problems {
			found = found || p.Code == want
		}
		if !found || len(s.Problems) > 2 {
			t.Errorf("%s: want %s, got %+v", src, want, s.Problems)
		}
	}
}

func TestSyntax(t *testing.T) {
	for src, want := range map[string]SyntaxCode{
		`keep`: NoSemicolon, "if true {\n keep;": EndsEarly, `redirect "a`: OpenString, `/* x`: OpenComment, `keep; }`: Unexpected,
		`if size :over 99999999999999999999 { keep; }`: BadNumber, `if size :over 5X { keep; }`: BadNumber, `if header [] "a" { keep; }`: Unexpected,
		`=`: BadCharacter, strings.Repeat("if true {", 100): TooDeep, "if " + strings.Repeat("not ", 5000) + "true { keep; }": TooDeep,
		strings.Repeat(" ", MaxScript+1): TooBig, strings.Repeat("keep;", MaxNodes+1): TooBig,
	} {
		_, err := Parse([]byte(src))
		var e *SyntaxError
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%.40s: want %s, got %v", src, want, err)
		}
	}
}

// TestHostilePatterns holds that patterns which break engines with backtracking end at once and answer right.
func TestHostilePatterns(t *testing.T) {
	long := strings.Repeat("a", 50000)
	h, _, _ := header.ParseBytes([]byte("Subject: "+long[:900]+"\r\n\r\n"), header.Limits{})
	m := &Message{Header: h, Body: []byte(long)}
	for _, src := range []string{
		`require "regex"; if header :regex "subject" "^(a+)+$b" { discard; }`,
		`if header :matches "subject" "` + strings.Repeat("*a", 60) + `b" { discard; }`,
		`require ["body","regex"]; if body :raw :regex "(a*)*b" { discard; }`,
	} {
		s, err := Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if res := s.Run(m, Options{}); res.Actions[0].Kind != Keep {
			t.Errorf("%s: %+v", src, res.Actions)
		}
	}
}

func FuzzParseAndRun(f *testing.F) {
	f.Add([]byte(`require ["fileinto","variables"]; if header :matches "subject" "*x*" { set "a" "${1}"; fileinto "${a}"; } elsif not exists "x" { stop; }`))
	f.Add([]byte("require \"vacation\"; vacation :days 7 text:\n..\n.\n;"))
	f.Add([]byte(`if anyof (size :over 1K, address :domain "from" ["a","b"]) { redirect "a@b.example"; }`))
	m := message()
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := Parse(src)
		if err != nil {
			return
		}
		res := s.Run(m, Options{Now: time.Unix(1707180000, 0)})
		if len(res.Actions) == 0 {
			t.Error("no action at all: a message would be lost without a word")
		}
	})
}
