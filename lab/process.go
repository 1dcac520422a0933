package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mailwhy/mailwhy/lab/netns"
)

// Process is a running server of the lab.
type Process struct {
	Name string
	Log  string // what it says on standard output and error
	cmd  *exec.Cmd
	gone chan struct{}
}

// start runs a server in the foreground inside the namespace. It ends with the lab, or with this process.
func start(s netns.Space, dir, name string, args ...string) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(dir, name+".log"), gone: make(chan struct{})}
	log, err := os.Create(p.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	p.cmd = s.Command(context.Background(), args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Dir = dir
	if err := netns.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the log tells how it ended
		close(p.gone)
	}()
	return p, nil
}

// Stop kills the server, by its own process id, and waits for its end.
func (p *Process) Stop() {
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// said is the end of the log, for error messages.
func (p *Process) said() string {
	raw, _ := os.ReadFile(p.Log)
	if len(raw) > 1500 {
		raw = raw[len(raw)-1500:]
	}
	return string(raw)
}

// ready waits until something listens at all addresses, or says what the server's log holds.
func (p *Process) ready(s netns.Space, network string, addresses ...string) error {
	deadline := time.Now().Add(15 * time.Second)
	for _, a := range addresses {
		for {
			err := touch(s, network, a)
			if err == nil {
				break
			}
			select {
			case <-p.gone:
				return fmt.Errorf("%s ended before it listened at %s: %s", p.Name, a, p.said())
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not listen at %s: %w: %s", p.Name, a, err, p.said())
			}
		}
	}
	return nil
}

func touch(s netns.Space, network, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := s.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return c.Close()
}

// root is an overlay root: a server's packages over this machine's file system, with a layer of the run's own on top,
// so that a run starts fresh and leaves nothing.
type root struct{ dir string }

// mountRoot makes the root called name below dir out of the cache that lab/install filled.
func mountRoot(cache, dir, name string) (*root, error) {
	base := filepath.Join(dir, "roots", name)
	for _, d := range []string{"work", "root"} {
		if err := os.MkdirAll(filepath.Join(base, d), 0o755); err != nil {
			return nil, err
		}
	}
	// A copy, because two lower layers must not hold one another and the cache lies below "/".
	if out, err := exec.Command("cp", "-a", filepath.Join(cache, name, "upper"), filepath.Join(base, "upper")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy the root of %s: %w: %s", name, err, out)
	}
	r := &root{filepath.Join(base, "root")}
	opts := fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", base, base)
	if out, err := exec.Command("mount", "-t", "overlay", "overlay", "-o", opts, r.dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mount the root of %s: %w: %s", name, err, out)
	}
	if out, err := exec.Command("mount", "--bind", "/dev", filepath.Join(r.dir, "dev")).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("mount /dev in the root of %s: %w: %s", name, err, out), r.unmount())
	}
	return r, nil
}

func (r *root) unmount() error {
	out, err := exec.Command("umount", "--recursive", "--lazy", r.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("umount %s: %w: %s", r.dir, err, out)
	}
	return nil
}

// inside is the command line that runs a command in the root, as the first process of a process namespace: when it
// ends, everything it started ends.
func (r *root) inside(args ...string) []string {
	return append([]string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc=" + filepath.Join(r.dir, "proc"), "chroot", r.dir}, args...)
}

// write puts a file into the root.
func (r *root) write(path, text string) error {
	file := filepath.Join(r.dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func joinPort(addr string, port int) string { return net.JoinHostPort(addr, fmt.Sprint(port)) }
