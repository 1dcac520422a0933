package queue

import (
	"bufio"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// The bounds of what is read of one spool file.
const (
	spoolHeaderBytes = 1 << 20
	spoolLogBytes    = 64 << 10
)

// ReadSpool reads an Exim spool: input/ (or its parent) with its -H files, and msglog/ for the reasons. A file that
// vanishes while it is read was delivered, and is left out.
func ReadSpool(dir fs.FS, sink func(*Entry)) (Summary, error) {
	s := Summary{Format: EximSpool}
	err := fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, "-H") {
			return ignoreMissing(err)
		}
		f, err := dir.Open(p)
		if err != nil {
			return ignoreMissing(err)
		}
		defer f.Close()
		e, ok := spoolHeader(io.LimitReader(f, spoolHeaderBytes), strings.TrimSuffix(path.Base(p), "-H"))
		if !ok {
			s.Strange++
			return nil
		}
		if st, err := fs.Stat(dir, strings.TrimSuffix(p, "-H")+"-D"); err == nil {
			e.Size = st.Size()
		}
		reasons(dir, p, &e)
		s.Entries++
		sink(&e)
		return nil
	})
	if s.Entries == 0 && s.Strange == 0 && err == nil {
		_, err = fs.Stat(dir, "input")
		if err != nil {
			err = ErrUnknown
		}
	}
	return s, err
}

func ignoreMissing(err error) error {
	if err == nil || strings.Contains(err.Error(), fs.ErrNotExist.Error()) {
		return nil
	}
	return err
}

// spoolHeader reads an -H file (Exim specification, "Format of spool files"): id, user, sender, times, options that
// begin with a dash, the tree of recipients already served, their number, the recipients.
func spoolHeader(r io.Reader, id string) (Entry, bool) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 1<<14), spoolHeaderBytes)
	next := func() string {
		if !sc.Scan() {
			return ""
		}
		return sc.Text()
	}
	if next() != id+"-H" {
		return Entry{}, false
	}
	next() // user, uid, gid
	e := Entry{ID: id, Queue: "deferred", Sender: bare([]byte(next()))}
	secs, _, _ := strings.Cut(next(), " ")
	at, err := strconv.ParseInt(secs, 10, 64)
	if err != nil {
		return Entry{}, false
	}
	e.Arrived = time.Unix(at, 0)
	line := next()
	for strings.HasPrefix(line, "-") {
		if strings.HasPrefix(line, "-frozen") {
			e.Queue = "frozen"
		}
		line = next()
	}
	done := map[string]bool{}
	for ; line != "XX" && line != ""; line = next() { // a tree: "YY address", "NN address"
		if _, addr, ok := strings.Cut(line, " "); ok {
			done[addr] = true
		} else if _, err := strconv.Atoi(line); err == nil {
			break // no tree: the number of recipients already
		}
	}
	if line == "XX" {
		line = next()
	}
	n, err := strconv.Atoi(line)
	if err != nil || n < 0 || n > maxRecipients {
		return Entry{}, false
	}
	for range n {
		addr, _, _ := strings.Cut(next(), " ")
		if addr != "" && !done[addr] {
			e.Recipients = append(e.Recipients, Recipient{Address: addr})
		}
	}
	return e, true
}

// reasons reads the last reason of each recipient from the message log beside the spool.
func reasons(dir fs.FS, header string, e *Entry) {
	raw, err := readTail(dir, path.Join(strings.Replace(path.Dir(header), "input", "msglog", 1), e.ID))
	if err != nil {
		return
	}
	last := map[string]string{}
	for _, line := range strings.Split(raw, "\n") {
		// "2026-11-22 01:51:00 a@b.example R=dnslookup T=remote_smtp defer (-44): SMTP error …"
		if len(line) < 20 {
			continue
		}
		addr, rest, ok := strings.Cut(line[20:], " ")
		if _, why, found := strings.Cut(rest, " defer "); ok && found {
			if _, text, ok := strings.Cut(why, ": "); ok {
				why = text
			}
			last[addr] = why
		}
	}
	for i := range e.Recipients {
		e.Recipients[i].Reason = last[e.Recipients[i].Address]
	}
}

func readTail(dir fs.FS, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, spoolLogBytes))
	return string(raw), err
}
