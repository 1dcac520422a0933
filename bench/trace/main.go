// Command trace measures `mailwhy trace` against ripgrep on one log: a trace by two passes of rg (the lines of the text,
// then the lines of their queue ids), against exigrep for a log of Exim and, for packed logs, against the bare decompressor.
// The tools take turns, and the best of several runs of each counts. CPU time, user and system, is told beside wall time: its
// ratio holds on a busy machine too.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func main() {
	tool := flag.String("mailwhy", "./mailwhy", "the binary to measure")
	log := flag.String("log", "", "a plain Postfix log")
	packed := flag.String("packed", "", "the same log packed, comma-separated (.gz, .zst)")
	exim := flag.Bool("exim", false, "the log is of Exim: exigrep is measured instead of rg")
	runs := flag.Int("runs", 5, "runs of each; the best counts")
	bare := flag.String("bare", "", "only unpack this file: what the others are measured by")
	flag.Parse()
	if *bare != "" {
		unpack(*bare)
		return
	}
	if *log == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/trace -log FILE [-packed FILE.gz,FILE.zst] QUERY…")
		os.Exit(64)
	}
	peer, what := func(q string) cost { return twoPass(q, *log) }, "rg, two passes"
	if *exim {
		peer, what = func(q string) cost { c, _ := run("exigrep", q, *log); return c }, "exigrep"
	}
	fmt.Printf("| query | lines | %s | CPU | mailwhy trace | CPU | ratio | ratio of CPU | memory |\n|---|---|---|---|---|---|---|---|---|\n", what)
	for _, q := range flag.Args() {
		var theirs, own best
		var lines int64
		for range *runs {
			theirs.note(peer(strings.TrimPrefix(q, "*")))
			c, n := run(*tool, "trace", "--raw", q, *log)
			own.note(c)
			lines = n
		}
		line(fmt.Sprintf("%s | %d", q, lines), theirs, own)
	}
	for _, p := range strings.FieldsFunc(*packed, func(r rune) bool { return r == ',' }) {
		var bare, own best
		for range *runs {
			c, _ := run(os.Args[0], "-bare", p)
			bare.note(c)
			c, _ = run(*tool, "trace", "--raw", flag.Arg(0), p)
			own.note(c)
		}
		line(fmt.Sprintf("%s in %s, beside the bare decompressor | ", flag.Arg(0), filepath.Ext(p)), bare, own)
	}
}

func line(what string, theirs, own best) {
	fmt.Printf("| %s | %.3f s | %.3f s | %.3f s | %.3f s | %.2f | %.2f | %d MB |\n", what, theirs.wall.Seconds(), theirs.cpu.Seconds(), own.wall.Seconds(), own.cpu.Seconds(),
		own.wall.Seconds()/theirs.wall.Seconds(), own.cpu.Seconds()/theirs.cpu.Seconds(), own.kb>>10)
}

// cost is what a run took.
type cost struct {
	wall, cpu time.Duration
	kb        int64 // peak memory
}

// best keeps the least of each.
type best struct {
	cost
	any bool
}

func (b *best) note(c cost) {
	if !b.any {
		b.cost, b.any = c, true
		return
	}
	b.wall, b.cpu, b.kb = min(b.wall, c.wall), min(b.cpu, c.cpu), max(b.kb, c.kb)
}

var queueID = regexp.MustCompile(`\]: ([0-9A-Za-z]{6,20}): `)

// twoPass is the trace by hand.
func twoPass(needle, log string) cost {
	start := time.Now()
	one := exec.Command("rg", "-F", "--", needle, log)
	first, _ := one.Output()
	ids := map[string]bool{}
	for _, m := range queueID.FindAllSubmatch(first, -1) {
		ids[string(m[1])] = true
	}
	var list bytes.Buffer
	for id := range ids {
		fmt.Fprintln(&list, id)
	}
	second := exec.Command("rg", "-F", "-f", "-", log)
	second.Stdin = &list
	if err := second.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "rg:", err)
		return cost{}
	}
	return cost{wall: time.Since(start), cpu: used(one) + used(second)}
}

func used(c *exec.Cmd) time.Duration { return c.ProcessState.UserTime() + c.ProcessState.SystemTime() }

// run gives what a program took and the lines printed, which are counted as they come: what this program held would be
// taken for the memory of the next process it starts.
func run(tool string, args ...string) (took cost, lines int64) {
	c := exec.Command(tool, args...)
	start := time.Now()
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, tool, args, err)
		return cost{}, 0
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		if err != nil {
			break
		}
	}
	if err := c.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, tool, args, err)
	}
	took = cost{wall: time.Since(start), cpu: used(c)}
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		took.kb = u.Maxrss
	}
	return took, lines
}

func unpack(name string) {
	f, err := os.Open(name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer f.Close()
	var r io.Reader
	if strings.HasSuffix(name, ".zst") {
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		defer z.Close()
		r = z
	} else if r, err = gzip.NewReader(f); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 512<<10))
}
