package capture_test

import (
	"slices"
	"testing"

	"github.com/mailwhy/mailwhy/internal/wire/capture"
)

// Each case is what was seen of tshark with the same packets.
func TestCountedAsWireshark(t *testing.T) {
	hello := []string{"S220 mx\r\n", "CEHLO x\r\n", "S250-mx\r\n250 CHUNKING\r\n"}
	for name, c := range map[string]struct {
		packets           []string
		requests, replies int // as Wireshark
		codes             []string
		said, answered    int // as they are
	}{
		"one by one":              {append(hello, "CQUIT\r\n", "S221 bye\r\n"), 2, 3, []string{"220", "250", "221"}, 2, 3},
		"a reply in two packets":  {[]string{"S220 mx\r\n", "CEHLO x\r\n", "S250-mx\r\n", "S250 CHUNKING\r\n"}, 1, 3, []string{"220", "250", "250"}, 1, 2},
		"a line in two packets":   {append(hello, "CQU", "CIT\r\n", "S221 b", "Sye\r\n"), 2, 3, []string{"220", "250", "221"}, 2, 3},
		"sent together":           {append(hello, "CMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n", "S250 a\r\n250 b\r\n354 c\r\n"), 2, 3, []string{"220", "250", "250", "250", "354"}, 4, 5},
		"message is no command":   {append(hello, "CDATA\r\n", "S354 go\r\n", "CSubject: x\r\n\r\nQUIT\r\n", "CMAIL FROM:<x>\r\n.\r\n", "S250 ok\r\n", "CQUIT\r\n"), 3, 4, []string{"220", "250", "354", "250"}, 3, 4},
		"BDAT together with more": {append(hello, "CMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 4 LAST\r\nab\r\n", "S250 a\r\n250 b\r\n", "S250 c\r\n", "CQUIT\r\n"), 2, 4, []string{"220", "250", "250", "250", "250"}, 5, 5},
		"BDAT of no size":         {append(hello, "CBDAT -1 LAST\r\r\n", "S501 no\r\n", "CQUIT\r\n"), 1, 3, []string{"220", "250", "501"}, 3, 3},
		"BDAT word":               {append(hello, "CBDAT WORD\r\n", "S501 no\r\n", "CQUIT\r\n"), 3, 3, []string{"220", "250", "501"}, 3, 3},
		"name and password":       {append(hello, "CAUTH LOGIN\r\n", "S334 VXNlcm5hbWU6\r\n", "CbGk=\r\n", "S334 UGFzc3dvcmQ6\r\n", "Cc2VjcmV0\r\n", "S235 ok\r\n", "CQUIT\r\n"), 3, 5, []string{"220", "250", "334", "334", "235"}, 3, 5},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFilm()
			f.shake()
			for _, p := range c.packets {
				f.send(map[byte]int{'C': 0, 'S': 1}[p[0]], psh|ack, p[1:])
			}
			_, all := read(t, f.Bytes(), capture.Options{})
			s := all[0]
			if w := s.Wireshark; w == nil || w.Requests != c.requests || w.Replies != c.replies || !slices.Equal(w.Codes, c.codes) {
				t.Errorf("counted %+v, want %d requests, %d replies, codes %v", w, c.requests, c.replies, c.codes)
			}
			if s.Requests != c.said || s.Replies != c.answered {
				t.Errorf("%d requests, %d replies, want %d, %d", s.Requests, s.Replies, c.said, c.answered)
			}
		})
	}
}
