package trace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Redactor puts pseudonyms in the place of addresses and message-ids. The same address gets the same pseudonym as long
// as the key is the same; without the key nobody can tell which address it was by trying.
type Redactor struct{ Key []byte }

// Line gives a copy of the line in which every word with an @ in it is replaced: local part and domain apart, so that
// what belongs to one domain still can be seen to.
func (r *Redactor) Line(b []byte) []byte {
	var out []byte
	last := 0
	for i := 0; i < len(b); i++ {
		if b[i] != '@' {
			continue
		}
		from, to := i, i+1
		for from > last && localByte(b[from-1]) {
			from--
		}
		for _, key := range [...]string{"sasl_username=", "user=", "from=", "to=", "id=", "F=", "U=", "A=", "message-id=", "msgid="} { // a field's name is no part of an address
			if from+len(key) < i && string(b[from:from+len(key)]) == key {
				from += len(key)
			}
		}
		for to < len(b) && domainByte(b[to]) {
			to++
		}
		for to > i+1 && (b[to-1] == '.' || b[to-1] == '-') {
			to--
		}
		if from == i || to == i+1 {
			continue
		}
		out = append(out, b[last:from]...)
		out = append(out, "u"+r.name(b[from:i], 6)+"@d"+r.name(b[i+1:to], 6)+".example"...)
		last, i = to, to-1
	}
	if last == 0 {
		return b
	}
	return append(out, b[last:]...)
}

func (r *Redactor) name(b []byte, n int) string {
	m := hmac.New(sha256.New, r.Key)
	m.Write([]byte(strings.ToLower(string(b))))
	return strings.ToLower(base32.StdEncoding.EncodeToString(m.Sum(nil)))[:n]
}

func localByte(c byte) bool {
	return wordByte(c) || c >= 0x80 || strings.IndexByte(".!#$%&'*+/=?^_`{|}~-", c) >= 0
}

func domainByte(c byte) bool { return wordByte(c) || c >= 0x80 || c == '.' || c == '-' }
