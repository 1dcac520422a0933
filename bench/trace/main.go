// Command trace measures `mailwhy trace` against ripgrep on one log: a trace by two passes of rg (the lines of the text,
// then the lines of their queue ids) and, for packed logs, the bare decompressor. The tools take turns, and the best of
// several runs of each counts, so that the ratios hold on a busy machine too.
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
	"slices"
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
	runs := flag.Int("runs", 5, "runs of each; the best counts")
	flag.Parse()
	if *log == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/trace -log FILE [-packed FILE.gz,FILE.zst] QUERY…")
		os.Exit(64)
	}
	fmt.Println("| query | lines | rg, two passes | mailwhy trace | ratio | memory |\n|---|---|---|---|---|---|")
	for _, q := range flag.Args() {
		needle := strings.TrimPrefix(q, "*")
		var rg, own []time.Duration
		var mem, lines int64
		for range *runs {
			rg = append(rg, timed(func() { twoPass(needle, *log) }))
			own = append(own, timed(func() { mem, lines = run(*tool, "trace", "--raw", q, *log) }))
		}
		a, b := slices.Min(rg), slices.Min(own)
		fmt.Printf("| %s | %d | %.3f s | %.3f s | %.2f | %d MB |\n", q, lines, a.Seconds(), b.Seconds(), b.Seconds()/a.Seconds(), mem>>10)
	}
	for _, p := range strings.FieldsFunc(*packed, func(r rune) bool { return r == ',' }) {
		var bare, own []time.Duration
		var mem int64
		for range *runs {
			bare = append(bare, timed(func() { unpack(p) }))
			own = append(own, timed(func() { mem, _ = run(*tool, "trace", "--raw", flag.Arg(0), p) }))
		}
		a, b := slices.Min(bare), slices.Min(own)
		fmt.Printf("| %s in %s | | bare: %.3f s | %.3f s | %.2f | %d MB |\n", flag.Arg(0), filepath.Ext(p), a.Seconds(), b.Seconds(), b.Seconds()/a.Seconds(), mem>>10)
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

var queueID = regexp.MustCompile(`\]: ([0-9A-Za-z]{6,20}): `)

// twoPass is the trace by hand.
func twoPass(needle, log string) {
	first, _ := exec.Command("rg", "-F", "--", needle, log).Output()
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
	}
}

// run gives the peak memory in kB and the lines printed, which are counted as they come: what this program held would
// be taken for the memory of the next process it starts.
func run(tool string, args ...string) (kb, lines int64) {
	c := exec.Command(tool, args...)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, tool, args, err)
		return 0, 0
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
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		kb = u.Maxrss
	}
	return kb, lines
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
