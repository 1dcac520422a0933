package wire

import "strings"

// HasCap tells whether a capability stands in the list, whatever follows its name.
func HasCap(caps []string, name string) bool {
	for _, c := range caps {
		if w, _, _ := strings.Cut(c, " "); w == name {
			return true
		}
	}
	return false
}

// SASLMethods are the mechanisms of the capability SASL of POP3 (RFC 5034) and ManageSieve (RFC 5804), upper case.
func SASLMethods(caps []string) []string {
	for _, c := range caps {
		if m, ok := strings.CutPrefix(c, "SASL "); ok {
			return strings.Fields(strings.ToUpper(m))
		}
	}
	return nil
}
