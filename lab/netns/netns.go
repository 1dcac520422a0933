// Package netns makes the network namespaces the lab lives in: links, addresses, routes, firewall rules, processes and
// sockets inside them.
//
// Promise: every name begins with "mailwhy-PID-", so that labs do not meet, and Sweep removes what a crashed run left
// behind. Nothing outside the lab's own namespaces is touched: both ends of every link are made inside them.
package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const folder = "/run/netns"

// Prefix begins the name of every namespace of any lab.
const Prefix = "mailwhy-"

// Space is one network namespace.
type Space struct{ Name string }

// New makes a namespace of this process with the loopback up. It is removed by Close.
func New(role string) (Space, error) {
	s := Space{Prefix + strconv.Itoa(os.Getpid()) + "-" + role}
	if err := run("ip", "netns", "add", s.Name); err != nil {
		return s, err
	}
	return s, s.Batch("link set lo up")
}

// Close ends the processes left inside (all of them are ours: nobody else knows the name) and removes the namespace.
func (s Space) Close() error {
	pids, _ := exec.Command("ip", "netns", "pids", s.Name).Output()
	for _, word := range strings.Fields(string(pids)) {
		if pid, err := strconv.Atoi(word); err == nil && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
		}
	}
	return run("ip", "netns", "del", s.Name)
}

// Sweep removes the namespaces of labs whose process is gone, and says how many.
func Sweep() (int, error) {
	names, err := filepath.Glob(filepath.Join(folder, Prefix+"*"))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, path := range names {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, Prefix), "-")
		if Alive(pid) {
			continue
		}
		if err := (Space{name}).Close(); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Alive tells whether a process of that number runs. One that was killed and that its parent has not looked at yet (a
// zombie) does not.
func Alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if pid == "" || err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

// Batch runs lines of ip(8), without the leading "ip", inside the namespace.
func (s Space) Batch(lines ...string) error {
	return feed(strings.Join(lines, "\n")+"\n", "ip", "-n", s.Name, "-batch", "-")
}

// Batch6 is Batch for lines whose family ip cannot tell by itself ("rule add …").
func (s Space) Batch6(lines ...string) error {
	return feed(strings.Join(lines, "\n")+"\n", "ip", "-6", "-n", s.Name, "-batch", "-")
}

// Link joins two namespaces by a veth pair: name is the interface in s, peer the one in to.
func (s Space) Link(name string, to Space, peer string) error {
	if err := run("ip", "-n", s.Name, "link", "add", name, "type", "veth", "peer", "name", peer, "netns", to.Name); err != nil {
		return err
	}
	return errors.Join(s.Batch("link set "+name+" up"), to.Batch("link set "+peer+" up"))
}

// Sysctl sets kernel variables of the namespace, written as "net/ipv4/ip_forward=1".
func (s Space) Sysctl(settings ...string) error {
	return s.Do(func() error {
		var errs []error
		for _, set := range settings {
			key, value, _ := strings.Cut(set, "=")
			errs = append(errs, os.WriteFile("/proc/sys/"+key, []byte(value), 0o644))
		}
		return errors.Join(errs...)
	})
}

// Filter loads an nftables rule set.
func (s Space) Filter(rules string) error {
	return feed(rules, "ip", "netns", "exec", s.Name, "nft", "-f", "-")
}

// Command is a command to be run inside. Begun with Start, it is killed when this process ends, however that happens.
func (s Space) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", s.Name, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// starter is one thread that lives as long as the process. The kernel sends the signal of Pdeathsig when the thread ends
// that started the child, and the threads of Do end.
var starter = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// Start starts a command made by Command.
func Start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}

// Output runs a command made by Command and gives what it wrote. cmd.Output itself would start it on a thread that may end
// before it does, and so have it killed.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := Start(cmd); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	return out.Bytes(), err
}

// Do calls f on a thread inside the namespace. Sockets that f opens stay there; goroutines that it starts do not.
func (s Space) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine and does not come back to the pool in a foreign namespace.
		runtime.LockOSThread()
		done <- s.enter(f)
	}()
	return <-done
}

func (s Space) enter(f func() error) error {
	fd, err := unix.Open(filepath.Join(folder, s.Name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", s.Name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %s: %w", s.Name, err)
	}
	return f()
}

// Listen opens a listening TCP socket inside.
func (s Space) Listen(address string) (l net.Listener, err error) {
	err = s.Do(func() (err error) { l, err = net.Listen("tcp", address); return err })
	return l, err
}

// DialContext connects from inside; a Space is a wire.Dialer.
func (s Space) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = s.Do(func() (err error) {
		d := net.Dialer{FallbackDelay: -1} // happy eyeballs would dial from another thread
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

func run(name string, args ...string) error { return feed("", name, args...) }

// feed runs a command with a standard input; what it says on failure becomes the error.
func feed(stdin, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}
