package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// startTLSServers runs the programs that speak TLS and nothing in it: gnutls-serv, which still does RC4, 3DES and TLS 1.0,
// and openssl s_server, which sends any chain; and crypto/tls for post-quantum key exchange. Each listens at a port of the loopback; what comes to the host's address
// is handed there.
func (w *World) startTLSServers() error {
	next := 20000
	for _, h := range w.Hosts {
		if h.Software == "go" {
			if err := w.goTLS(h); err != nil {
				return err
			}
		}
		if h.Software != "gnutls" && h.Software != "openssl" {
			continue
		}
		next++
		pair := w.fleet.pairs[h.Name]
		if pair == nil {
			return fmt.Errorf("host %s: it needs a certificate", h.Name)
		}
		var args []string
		port := fmt.Sprint(next)
		if h.Software == "gnutls" {
			priority := "NORMAL"
			if len(h.Options) > 0 {
				priority = h.Options[0]
			}
			args = []string{"gnutls-serv", "--echo", "--port", port, "--x509certfile", pair.CertFile, "--x509keyfile", pair.KeyFile, "--priority", priority}
		} else {
			chain, err := withoutLeaf(pair.CertFile)
			if err != nil {
				return err
			}
			args = append([]string{"openssl", "s_server", "-quiet", "-accept", "127.0.0.1:" + port, "-cipher", "DEFAULT@SECLEVEL=0", "-cert", pair.CertFile, "-key", pair.KeyFile}, h.Options...)
			if chain != "" {
				args = append(args, "-cert_chain", chain)
			}
		}
		p, err := start(w.Servers, w.Dir, h.Software+"-"+h.Name, args...)
		if err != nil {
			return err
		}
		w.running = append(w.running, p)
		if err := p.ready(w.Servers, "tcp", "127.0.0.1:"+port); err != nil {
			return err
		}
		if err := w.forward(h, "127.0.0.1:"+port); err != nil {
			return err
		}
	}
	return nil
}

// withoutLeaf writes the certificates behind the first of a file into one of their own; "" where there are none.
func withoutLeaf(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	const end = "-----END CERTIFICATE-----\n"
	_, rest, _ := strings.Cut(string(raw), end)
	if strings.TrimSpace(rest) == "" {
		return "", nil
	}
	return file + ".chain", os.WriteFile(file+".chain", []byte(rest), 0o644)
}

// goTLS runs crypto/tls, which agrees on a key exchange that holds against quantum computers.
func (w *World) goTLS(h *Host) error {
	pair := w.fleet.pairs[h.Name]
	if pair == nil {
		return fmt.Errorf("host %s: it needs a certificate", h.Name)
	}
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		return err
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, addr := range h.addresses() {
		for _, port := range h.ports() {
			l, err := w.Servers.Listen(joinPort(addr, port))
			if err != nil {
				return fmt.Errorf("host %s: %w", h.Name, err)
			}
			w.scripted.handle(l, func(c net.Conn) {
				s := tls.Server(c, conf)
				if s.Handshake() == nil {
					_, _ = io.Copy(io.Discard, s)
				}
			})
		}
	}
	return nil
}

// forward hands the connections to a host's ports on to a server on the loopback.
func (w *World) forward(h *Host, to string) error {
	for _, addr := range h.addresses() {
		for _, port := range h.ports() {
			l, err := w.Servers.Listen(joinPort(addr, port))
			if err != nil {
				return fmt.Errorf("host %s: %w", h.Name, err)
			}
			w.scripted.handle(l, func(c net.Conn) {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				back, err := w.Servers.DialContext(ctx, "tcp", to)
				if err != nil {
					return
				}
				defer func() { _ = back.Close() }()
				splice(c, back)
			})
		}
	}
	return nil
}

// splice copies both ways until one side ends.
func splice(a, b net.Conn) {
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		wg.Go(func() {
			_, err := io.Copy(pair[0], pair[1])
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				_ = pair[1].Close()
			}
			_ = pair[0].Close() // no half-open ends: the other copy ends with it
		})
	}
	wg.Wait()
}
