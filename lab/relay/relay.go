// Package relay delays packets between two namespaces: a TUN device at each end and a queue between them. It stands in
// for netem where the kernel has none.
//
// Promise: order is kept, nothing is lost by the relay itself short of the bound of its queue, and each packet is late
// by the same time. It must not look into packets.
package relay

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mailwhy/mailwhy/lab/netns"
)

// MTU of the devices.
const MTU = 1500

// depth bounds the packets under way in one direction: 20 ms of a busy test are far fewer.
const depth = 65536

// Relay is a running relay.
type Relay struct {
	ends []*os.File
	wg   sync.WaitGroup
}

type packet struct {
	due time.Time
	raw []byte
}

// Start makes the device name in both namespaces and relays between them, each packet late by delay in either
// direction. The devices have no addresses and are down: the caller sets them up.
func Start(name string, a, b netns.Space, delay time.Duration) (*Relay, error) {
	r := &Relay{}
	for _, s := range []netns.Space{a, b} {
		f, err := open(name, s)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.ends = append(r.ends, f)
	}
	r.pump(r.ends[0], r.ends[1], delay)
	r.pump(r.ends[1], r.ends[0], delay)
	return r, nil
}

// Close removes the devices and waits for the pumps to end.
func (r *Relay) Close() error {
	var errs []error
	for _, f := range r.ends {
		errs = append(errs, f.Close())
	}
	r.wg.Wait()
	return errors.Join(errs...)
}

func open(name string, s netns.Space) (f *os.File, err error) {
	err = s.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return errors.Join(fmt.Errorf("TUN device %s in %s: %w", name, s.Name, err), unix.Close(fd))
		}
		f = os.NewFile(uintptr(fd), name)
		return nil
	})
	return f, err
}

// pump reads from one end, holds each packet until it is due, and writes it to the other end.
func (r *Relay) pump(from, to *os.File, delay time.Duration) {
	queue := make(chan packet, depth)
	r.wg.Go(func() {
		defer close(queue)
		for {
			buf := make([]byte, MTU+64)
			n, err := from.Read(buf)
			if err != nil {
				if errors.Is(err, unix.EIO) || errors.Is(err, unix.EAGAIN) { // the device is down yet
					time.Sleep(time.Millisecond)
					continue
				}
				return
			}
			select {
			case queue <- packet{time.Now().Add(delay), buf[:n]}:
			default: // a router drops when its queue is full
			}
		}
	})
	r.wg.Go(func() {
		for p := range queue {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.raw) // a device that is down loses packets, as a cable would
		}
	})
}
