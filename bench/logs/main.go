// Command logs times `mailwhy logs` beside pflogsumm on one made-up log, in turn, and prints the ratio run by run.
//
//	go run ./bench/logs [-size BYTES] [-runs N] [-log FILE]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func main() {
	size := flag.Int64("size", 256<<20, "bytes of the log")
	runs := flag.Int("runs", 3, "runs of each")
	log := flag.String("log", "", "use this log instead of a made-up one")
	flag.Parse()
	dir, err := os.MkdirTemp("", "mailwhy-bench")
	check(err)
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "mailwhy")
	check(run(os.Stderr, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "."))
	if *log == "" {
		*log = filepath.Join(dir, "mail.log")
		f, err := os.Create(*log)
		check(err)
		check(run(f, "go", "run", "./bench/maillog", "-size", fmt.Sprint(*size)))
		check(f.Close())
	}
	st, err := os.Stat(*log)
	check(err)
	peer, err := exec.LookPath("pflogsumm")
	if err != nil {
		fmt.Println("pflogsumm is not installed: only our own figures")
	}
	var ratios []float64
	for i := range *runs + 1 {
		ours, peak := timed(bin, "logs", *log)
		if i == 0 {
			continue // warms the page cache
		}
		fmt.Printf("logs %4d MB  %6.2f s  %5.0f MB/s  peak %d MB", st.Size()>>20, ours.Seconds(), float64(st.Size())/1e6/ours.Seconds(), peak>>10)
		if peer != "" {
			theirs, theirPeak := timed(peer, *log)
			ratios = append(ratios, theirs.Seconds()/ours.Seconds())
			fmt.Printf("   pflogsumm %6.2f s, peak %d MB   %.1f x faster", theirs.Seconds(), theirPeak>>10, ratios[len(ratios)-1])
		}
		fmt.Println()
	}
	if len(ratios) > 0 {
		slices.Sort(ratios)
		fmt.Printf("median ratio %.1f (aim 15)\n", ratios[len(ratios)/2])
	}
}

// timed runs a program with its output thrown away and gives wall time and peak memory in kB. An exit status of 1 or 2
// is an opinion about the log, not a failure.
func timed(name string, args ...string) (time.Duration, int64) {
	c := exec.Command(name, args...)
	start := time.Now()
	_ = c.Run()
	took := time.Since(start)
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return took, u.Maxrss
	}
	return took, 0
}

func run(out *os.File, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = out, os.Stderr
	return c.Run()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
