// Command logs times `mailwhy logs` beside pflogsumm, or eximstats, on one log, in turn, and prints the ratios run by run:
// of wall time, which counts both cores, and of CPU time, which holds on a busy machine.
//
//	go run ./bench/logs [-size BYTES] [-runs N] [-log FILE] [-peer pflogsumm|eximstats] [-aim RATIO]
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
	peerName := flag.String("peer", "pflogsumm", "the program beside: pflogsumm, or eximstats with an Exim log")
	aim := flag.Float64("aim", 15, "the ratio to reach")
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
	peer, err := exec.LookPath(*peerName)
	if err != nil {
		fmt.Println(*peerName, "is not installed: only our own figures")
	}
	var ratios []float64
	for i := range *runs + 1 {
		ours := timed(bin, "logs", *log)
		if i == 0 {
			continue // warms the page cache
		}
		fmt.Printf("logs %4d MB  %6.2f s  CPU %6.2f s  %5.0f MB/s  peak %d MB", st.Size()>>20, ours.wall.Seconds(), ours.cpu.Seconds(), float64(st.Size())/1e6/ours.wall.Seconds(), ours.peak>>10)
		if peer != "" {
			theirs := timed(peer, *log)
			ratios = append(ratios, theirs.wall.Seconds()/ours.wall.Seconds())
			fmt.Printf("   %s %6.2f s, CPU %6.2f s, peak %d MB   %.1f x faster, %.1f x by CPU", *peerName, theirs.wall.Seconds(), theirs.cpu.Seconds(), theirs.peak>>10,
				ratios[len(ratios)-1], theirs.cpu.Seconds()/ours.cpu.Seconds())
		}
		fmt.Println()
	}
	if len(ratios) > 0 {
		slices.Sort(ratios)
		fmt.Printf("median ratio %.1f (aim %.0f)\n", ratios[len(ratios)/2], *aim)
	}
}

type cost struct {
	wall, cpu time.Duration
	peak      int64 // kB
}

// timed runs a program with its output thrown away. An exit status of 1 or 2 is an opinion about the log, not a failure.
func timed(name string, args ...string) cost {
	c := exec.Command(name, args...)
	start := time.Now()
	_ = c.Run()
	took := cost{wall: time.Since(start), cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime()}
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		took.peak = u.Maxrss
	}
	return took
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
