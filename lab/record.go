package lab

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"github.com/mailwhy/mailwhy/lab/netns"
)

// Recording is a tcpdump at work.
type Recording struct {
	File string
	cmd  *exec.Cmd
	said *bufio.Reader
}

// Record captures what passes a device into a file. It returns once tcpdump listens.
func Record(ctx context.Context, s netns.Space, device, file string) (*Recording, error) {
	cmd := s.Command(ctx, "tcpdump", "-Z", "root", "-i", device, "-s", "0", "-U", "--immediate-mode", "-B", "65536", "-w", file, "tcp or icmp or icmp6")
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := netns.Start(cmd); err != nil {
		return nil, err
	}
	r := &Recording{file, cmd, bufio.NewReader(out)}
	for {
		line, err := r.said.ReadString('\n')
		if strings.Contains(line, "listening on") {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("tcpdump ended: %s: %w", line, cmd.Wait())
		}
	}
}

// Stop ends the capture in order: tcpdump writes what it has and goes.
func (r *Recording) Stop() error {
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	for {
		if _, err := r.said.ReadString('\n'); err != nil {
			return r.cmd.Wait()
		}
	}
}
