package mail

import (
	"context"
	"strings"
)

// Resolve answers from the fixed records, following CNAMEs at most eight deep.
func (z Zone) Resolve(_ context.Context, name string, t Type) (*Answer, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	a := &Answer{Name: name, Type: t, Final: name}
	for range 8 {
		if err := z.Fail[a.Final]; err != nil {
			return nil, err
		}
		rrs, ok := z.Records[a.Final]
		if !ok {
			a.NXDomain = !z.below(a.Final)
			return a, nil
		}
		next := ""
		for _, r := range rrs {
			switch r.Type {
			case t:
				a.Records = append(a.Records, r)
			case TypeCNAME:
				next = r.Host
			}
		}
		if len(a.Records) > 0 || next == "" {
			return a, nil
		}
		a.Final = strings.ToLower(next)
		a.Chain = append(a.Chain, a.Final)
	}
	return a, nil
}

// below tells whether the zone has names under name, so that name is an empty non-terminal (RFC 8020).
func (z Zone) below(name string) bool {
	for k := range z.Records {
		if strings.HasSuffix(k, "."+name) {
			return true
		}
	}
	return false
}
