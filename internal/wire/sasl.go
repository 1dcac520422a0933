package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// Login says how to log in. It stands in recordings, so that the secret is left out of JSON.
type Login struct {
	User      string `json:"user"`
	Mechanism string `json:"mechanism,omitempty"` // a SASL name, or "PASSWORD" for the protocol's own command; empty: the best offered
	InClear   bool   `json:"in_clear,omitempty"`  // a readable password may go over a connection without TLS
	Secret    string `json:"-"`                   // the password, or for XOAUTH2 the access token
}

// Mechanisms are the SASL mechanisms spoken, best first, of those that are picked by themselves. XOAUTH2 and EXTERNAL
// are spoken where they are named.
func Mechanisms() []string {
	return []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"}
}

// Spoken tells whether a mechanism can be named in Login.Mechanism.
func Spoken(mechanism string) bool {
	return slices.Contains(Mechanisms(), mechanism) || mechanism == "XOAUTH2" || mechanism == "EXTERNAL" || mechanism == "PASSWORD"
}

// Readable tells a mechanism that shows the secret itself to whoever reads the connection.
func Readable(mechanism string) bool {
	switch mechanism {
	case "PLAIN", "LOGIN", "XOAUTH2", "PASSWORD":
		return true
	}
	return false
}

// Pick chooses the mechanism of a login among those offered, upper case. It is "" where none fits; own tells that the
// protocol has a login command of its own as a last way.
func (l *Login) Pick(offered []string, own bool) string {
	if l.Mechanism == "PASSWORD" && !own {
		return ""
	}
	if l.Mechanism != "" {
		return l.Mechanism
	}
	for _, m := range Mechanisms() {
		if slices.Contains(offered, m) {
			return m
		}
	}
	if own {
		return "PASSWORD"
	}
	return ""
}

// SASL is the client's side of an exchange (RFC 4422). Next takes the server's challenge, decoded, and gives the answer;
// for the first answer of a mechanism where the client begins, the challenge is nil.
type SASL struct {
	Mechanism string
	First     bool // the client begins: its first answer may stand beside the command
	next      func(challenge []byte) ([]byte, error)
	turns     int
}

// Next gives the next answer. More than ten turns are an error, whatever the server asks.
func (s *SASL) Next(challenge []byte) ([]byte, error) {
	if s.turns++; s.turns > 10 {
		return nil, &Fault{Kind: Protocol, Op: "login", Text: "the server goes on asking after ten answers"}
	}
	return s.next(challenge)
}

// NewSASL begins an exchange. RFC 4616 (PLAIN), 2195 (CRAM-MD5), 5802 and 7677 (SCRAM), 4422 appendix A (EXTERNAL);
// LOGIN and XOAUTH2 are conventions.
func NewSASL(mechanism string, l *Login) (*SASL, error) {
	s := &SASL{Mechanism: mechanism}
	switch mechanism {
	case "PLAIN":
		s.First, s.next = true, func([]byte) ([]byte, error) { return []byte("\x00" + l.User + "\x00" + l.Secret), nil }
	case "EXTERNAL":
		s.First, s.next = true, func([]byte) ([]byte, error) { return []byte(l.User), nil }
	case "XOAUTH2":
		s.First, s.next = true, func(challenge []byte) ([]byte, error) {
			if challenge != nil {
				return nil, nil // the server told an error as JSON and waits for an empty answer
			}
			return []byte("user=" + l.User + "\x01auth=Bearer " + l.Secret + "\x01\x01"), nil
		}
	case "LOGIN":
		s.next = func([]byte) ([]byte, error) {
			if s.turns == 1 {
				return []byte(l.User), nil
			}
			return []byte(l.Secret), nil
		}
	case "CRAM-MD5":
		s.next = func(challenge []byte) ([]byte, error) {
			mac := hmac.New(md5.New, []byte(l.Secret))
			mac.Write(challenge)
			return []byte(l.User + " " + hex.EncodeToString(mac.Sum(nil))), nil
		}
	case "SCRAM-SHA-1", "SCRAM-SHA-256":
		return s, s.scram(l)
	default:
		return nil, &Fault{Kind: Protocol, Op: "login", Text: "no such login method here: " + mechanism}
	}
	return s, nil
}

// maxRounds bounds the iterations a server may ask of SCRAM: RFC 7677 wants 4096, servers use up to a few 100 000.
const maxRounds = 1_000_000

func (s *SASL) scram(l *Login) error {
	hash := scram.SHA1
	if s.Mechanism == "SCRAM-SHA-256" {
		hash = scram.SHA256
	}
	c, err := hash.NewClient(l.User, l.Secret, "")
	if err != nil {
		return &Fault{Kind: Protocol, Op: "login", Text: fmt.Sprintf("user name or password hold characters that SCRAM forbids: %v", err)}
	}
	conv := c.NewConversation()
	s.First = true
	s.next = func(challenge []byte) ([]byte, error) {
		for _, part := range bytes.Split(challenge, []byte(",")) {
			if n, ok := bytes.CutPrefix(part, []byte("i=")); ok {
				if rounds, err := strconv.Atoi(string(n)); err != nil || rounds < 1 || rounds > maxRounds {
					return nil, &Fault{Kind: Limit, Op: "login", Text: fmt.Sprintf("the server asks for %.20s rounds of hashing; mailwhy does at most %d", n, maxRounds)}
				}
			}
		}
		out, err := conv.Step(string(challenge))
		if err != nil {
			return nil, &Fault{Kind: Protocol, Op: "login", Text: err.Error()}
		}
		return []byte(out), nil
	}
	return nil
}

// MaskIn gives a function that blots a login's secret out of a text, also where it stands in base64.
func (l *Login) MaskIn() func(string) string {
	if l == nil || len(l.Secret) < 3 {
		return func(s string) string { return s }
	}
	words := []string{l.Secret, Hidden, base64.StdEncoding.EncodeToString([]byte(l.Secret)), Hidden,
		base64.StdEncoding.EncodeToString([]byte("\x00" + l.User + "\x00" + l.Secret)), Hidden}
	return strings.NewReplacer(words...).Replace
}

// Hidden stands in transcripts where a secret was.
const Hidden = "[hidden]"

// errNotBase64 marks a challenge that cannot be read.
var errNotBase64 = errors.New("the server's challenge is not base64")

// Challenge decodes a challenge of at most 8 kB; never nil beside a nil error.
func Challenge(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if len(text) > 8192 {
		return nil, &Fault{Kind: Limit, Op: "login", Text: "a challenge of more than 8 kB"}
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, &Fault{Kind: Protocol, Op: "login", Text: fmt.Sprintf("%v: %.80q", errNotBase64, text)}
	}
	return append([]byte{}, raw...), nil
}
