// Command conformance runs mailwhy's parsers and evaluators over sets of samples with known answers and prints a score
// per set. The sets are not part of the project: they are looked for in the folder named by MAILWHY_DATA, by default
// ../shared/data. A set that is not there is named with the place that was looked in, and skipped.
//
// A new set is one file here with one run function, and one line in the slice sets.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// set is one folder of samples. run gets the data directory; an error that wraps fs.ErrNotExist means "not there".
type set struct {
	name string
	run  func(dir string) ([]score, error)
}

// score is what one question about a set came to.
type score struct {
	name         string
	right, total int
	aim          float64  // share that must be right, 0 to 1; 0: no aim, for information
	wrong        []string // a line for each wrong one, shown with -v
}

func (s *score) share() float64 {
	if s.total == 0 {
		return 0
	}
	return float64(s.right) / float64(s.total)
}

// met tells whether the aim is reached; a set with no samples at all reaches nothing.
func (s *score) met() bool { return s.aim == 0 || s.total > 0 && s.share() >= s.aim }

// add counts one sample; the words of why are kept where it is wrong.
func (s *score) add(ok bool, format string, args ...any) {
	s.total++
	if ok {
		s.right++
		return
	}
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// sets are all sets, in the order shown.
var sets = []set{
	{"spf", runSPF},
	{"reports", runReports},
	{"arc", runARC},
	{"received", runReceived},
	{"bounces", runBounces},
	{"replies", runReplies},
	{"postfix-lines", runPostfixLines},
	{"pcaps", runPcaps},
	{"banners", runBanners},
	{"providers", runProviders},
}

func main() {
	verbose := flag.Bool("v", false, "show what is wrong")
	only := flag.String("set", "", "comma-separated names of sets to run; empty runs all")
	flag.Parse()
	os.Exit(run(dataDir(), *only, *verbose))
}

func dataDir() string {
	if d := os.Getenv("MAILWHY_DATA"); d != "" {
		return d
	}
	return "../shared/data"
}

func run(dir, only string, verbose bool) (status int) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	for _, s := range sets {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		start := time.Now()
		scores, err := s.run(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Fprintf(w, "%s\tskipped\tno samples: %v (looked in %s; set MAILWHY_DATA to look elsewhere)\n", s.name, err, dir)
			continue
		case err != nil:
			fmt.Fprintf(w, "%s\tERROR\t%v\n", s.name, err)
			status = 1
			continue
		}
		for i := range scores {
			if !printScore(w, s.name, &scores[i], verbose) {
				status = 1
			}
		}
		fmt.Fprintf(w, "\t\t%v\n", time.Since(start).Round(time.Millisecond))
	}
	return status
}

func printScore(w *tabwriter.Writer, set string, s *score, verbose bool) bool {
	word := "ok"
	if !s.met() {
		word = "BELOW"
	}
	aim := ""
	if s.aim > 0 {
		aim = fmt.Sprintf("aim %.4g%%", 100*s.aim)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%.1f%%\t%s\n", set, word, s.name, s.right, s.total, 100*s.share(), aim)
	if verbose {
		for _, l := range s.wrong {
			fmt.Fprintf(w, "\t\twrong: %s\n", l)
		}
	}
	return s.met()
}
