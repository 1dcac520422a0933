package capture

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

const maxHandshake = 128 << 10

// hands reads what can be seen of a TLS handshake.
type hands struct {
	k     *talk
	tls   *TLS
	buf   [2][]byte // an unfinished record
	shake [2][]byte // an unfinished handshake message
	off   [2]bool   // nothing more can be read of this end
	data  [2]int    // records of application data
	ccs   [2]bool
	first bool
}

func newHands(k *talk) *hands {
	h := &hands{k: k, tls: &TLS{}}
	k.c.TLS = h.tls
	return h
}

func (h *hands) gap(dir int) { h.off[dir], h.buf[dir], h.shake[dir] = true, nil, nil }

func (h *hands) feed(dir int, b []byte, at int64) {
	if h.off[dir] {
		return
	}
	if !h.first {
		h.first = true
		h.tls.At = time.Duration(at - h.k.c.t0)
	}
	h.buf[dir] = append(h.buf[dir], b...)
	buf := h.buf[dir]
	for len(buf) >= 5 && !h.off[dir] {
		n := int(binary.BigEndian.Uint16(buf[3:]))
		if buf[0] < 20 || buf[0] > 24 || buf[1] != 3 || n > 1<<14+2048 {
			if h.data[dir] == 0 && !h.ccs[dir] && len(h.shake[dir]) == 0 {
				h.tls.NotTLS = true
				h.k.add(dirOf(dir), at, "(no TLS) "+strings.ToValidUTF8(string(buf[:min(len(buf), 60)]), "?"))
			}
			h.gap(dir)
			return
		}
		if len(buf) < 5+n {
			break
		}
		h.record(dir, buf[0], buf[5:5+n], at)
		buf = buf[5+n:]
	}
	if h.off[dir] {
		h.buf[dir] = nil
		return
	}
	h.buf[dir] = append(h.buf[dir][:0], buf...)
}

func (h *hands) record(dir int, kind byte, b []byte, at int64) {
	switch kind {
	case 20:
		h.ccs[dir] = true
	case 21:
		h.alert(dir, b, at)
	case 22:
		if h.ccs[dir] || len(h.shake[dir])+len(b) > maxHandshake {
			return
		}
		h.shake[dir] = append(h.shake[dir], b...)
		s := h.shake[dir]
		for len(s) >= 4 {
			n := int(s[1])<<16 | int(s[2])<<8 | int(s[3])
			if n > maxHandshake {
				h.gap(dir)
				return
			}
			if len(s) < 4+n {
				break
			}
			h.message(s[0], s[4:4+n], at)
			s = s[4+n:]
		}
		h.shake[dir] = append(h.shake[dir][:0], s...)
	case 23:
		h.data[dir]++
		if dir == client && h.data[dir] == 1 && h.tls.Version == "TLS 1.3" && len(b) == 19 && h.tls.Alert == "" {
			h.tls.Alert, h.tls.AlertBy = "encrypted alert", ends[dir]
			h.k.add(dirOf(dir), at, "(TLS alert, encrypted)")
		}
		if h.data[client] > 0 && h.data[server] > 0 && h.tls.Alert == "" && !h.tls.Established {
			h.tls.Established = true
			h.k.add(wire.Happened, at, strings.TrimSpace("TLS established "+h.tls.Version))
		}
		if h.tls.Established && h.data[client] > 4 && h.data[server] > 4 {
			h.gap(client) // nothing more is to be learnt
			h.gap(server)
		}
	}
}

func (h *hands) alert(dir int, b []byte, at int64) {
	if len(b) != 2 || h.tls.Established || h.ccs[dir] && h.tls.Version != "TLS 1.3" || b[1] == 0 || b[0] == 1 && (b[1] == 90 || b[1] == 112) {
		return // encrypted, close_notify, or a warning that ends nothing
	}
	h.tls.Alert = strings.TrimPrefix(tls.AlertError(b[1]).Error(), "tls: ")
	h.tls.AlertBy = ends[dir]
	h.k.add(dirOf(dir), at, "(TLS alert: "+h.tls.Alert+")")
}

func (h *hands) message(kind byte, b []byte, at int64) {
	switch kind {
	case 1:
		h.hello(b)
		h.k.add(wire.Sent, at, strings.TrimSpace(fmt.Sprintf("(ClientHello %s %s)", h.tls.SNI, h.tls.Offered)))
	case 2:
		h.serverHello(b)
		h.k.add(wire.Received, at, strings.TrimSpace(fmt.Sprintf("(ServerHello %s %s)", h.tls.Version, h.tls.Suite)))
	case 11:
		if h.tls.Version != "TLS 1.3" && h.tls.Certificate == nil && len(b) > 6 {
			n := int(b[3])<<16 | int(b[4])<<8 | int(b[5])
			if n > len(b)-6 {
				return
			}
			if c, err := x509.ParseCertificate(b[6 : 6+n]); err == nil {
				h.tls.Certificate = &Certificate{Subject: c.Subject.String(), Names: c.DNSNames[:min(len(c.DNSNames), 50)], Issuer: c.Issuer.String(), From: c.NotBefore, Until: c.NotAfter}
				h.k.add(wire.Received, at, fmt.Sprintf("(Certificate %s, until %s)", c.Subject, c.NotAfter.Format("2006-01-02")))
			}
		}
	}
}

// reader takes fields off a message; after the first lie everything is empty.
type reader []byte

func (r *reader) take(n int) []byte {
	if n > len(*r) {
		*r = nil
		return nil
	}
	b := (*r)[:n]
	*r = (*r)[n:]
	return b
}

func (r *reader) vec(size int) reader {
	n := 0
	for _, c := range r.take(size) {
		n = n<<8 | int(c)
	}
	return r.take(n)
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (h *hands) hello(b []byte) {
	h.tls.Hello = true
	r := reader(b)
	best := r.u16()
	r.take(32)
	r.vec(1)
	r.vec(2)
	r.vec(1)
	for ext := r.vec(2); len(ext) >= 4; {
		kind, body := ext.u16(), ext.vec(2)
		switch kind {
		case 0:
			list := body.vec(2)
			list.take(1)
			h.tls.SNI = strings.ToValidUTF8(string(list.vec(2)), "?")
		case 16:
			h.tls.ALPN = nil
			for list := body.vec(2); len(list) > 0 && len(h.tls.ALPN) < 8; {
				h.tls.ALPN = append(h.tls.ALPN, strings.ToValidUTF8(string(list.vec(1)), "?"))
			}
		case 43:
			for list := body.vec(1); len(list) >= 2; {
				if v := list.u16(); v>>8 == 3 && v > best {
					best = v
				}
			}
		}
	}
	h.tls.Offered = version(best)
}

func (h *hands) serverHello(b []byte) {
	h.tls.Answer = true
	r := reader(b)
	v := r.u16()
	r.take(32)
	r.vec(1)
	suite := r.u16()
	r.take(1)
	for ext := r.vec(2); len(ext) >= 4; {
		kind, body := ext.u16(), ext.vec(2)
		if kind == 43 {
			v = body.u16()
		}
	}
	h.tls.Version, h.tls.Suite = version(v), tls.CipherSuiteName(suite)
}

func version(v uint16) string {
	switch v {
	case 0x0300:
		return "SSL 3.0"
	case 0x0301, 0x0302, 0x0303, 0x0304:
		return fmt.Sprintf("TLS 1.%d", v-0x0301)
	}
	return fmt.Sprintf("0x%04x", v)
}

func (h *hands) finish() {
	if h.tls.Alert == "" && !h.tls.Established && h.ccs[client] && h.ccs[server] && h.tls.Version != "TLS 1.3" {
		h.tls.Established = true
	}
}
