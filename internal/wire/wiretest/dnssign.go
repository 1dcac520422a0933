package wiretest

import "github.com/miekg/dns"

type signer struct{}

func (z *Zone) withSigs(rrs []dns.RR, owner string, do bool) []dns.RR { return rrs }
func (z *Zone) proveNoType(m *dns.Msg, name string)                   {}
func (z *Zone) proveNoName(m *dns.Msg, name string)                   {}
