// Package capture reads packet captures (pcap, pcapng) and turns the mail sessions in them into the transcripts and
// stages that a live probe gives.
//
// Promise: facts only, no verdicts. Memory is bounded by the streams open at a time, whatever the file claims; a file
// that is cut or lies is read as far as it can be believed, and Summary says where belief ended. Secrets are masked and
// message bodies counted unless Options say otherwise. RFCs: 791, 8200 (IP), 9293 (TCP), 5321 (SMTP), 3030 (BDAT), 1939
// (POP3), 9051 (IMAP), 5246 and 8446 (TLS). Nothing is decrypted, nothing is looked up.
package capture

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Options say what to keep. The zero value is the default.
type Options struct {
	ShowSecrets bool // passwords stand in transcripts as they were sent
	MaxOpen     int  // streams followed at a time; 0: 65536. Beyond it the one longest idle is finished
	MaxLines    int  // lines kept per transcript; 0: 400

	// Message, when not nil, opens a place for message number n of a stream; a nil writer leaves it out.
	Message func(stream, n int) (io.WriteCloser, error)
}

// Summary is what was read.
type Summary struct {
	Format    string         `json:"format"` // "pcap", "pcapng"
	Packets   int64          `json:"packets"`
	Bytes     int64          `json:"bytes"` // captured
	Start     time.Time      `json:"start,omitzero"`
	End       time.Time      `json:"end,omitzero"`
	Other     int64          `json:"other"`               // packets that are no TCP
	Damaged   int64          `json:"damaged,omitempty"`   // packets whose headers lie
	Short     int64          `json:"short,omitempty"`     // packets cut by the capture's snap length
	Fragments int64          `json:"fragments,omitempty"` // IP fragments seen
	Links     map[uint32]int `json:"unread_links,omitempty"`
	Streams   int            `json:"streams"`
	Mail      map[string]int `json:"mail"`              // streams by protocol: smtp, imap, pop3
	Evicted   int            `json:"evicted,omitempty"` // streams finished early for want of room
	Cut       bool           `json:"cut,omitempty"`     // the file ends in the middle of a packet
	Broken    string         `json:"broken,omitempty"`  // why the rest of the file could not be read
}

// Side is one end of a stream.
type Side struct {
	Addr        netip.AddrPort `json:"addr"`
	Packets     int            `json:"packets"`
	Bytes       int64          `json:"bytes"` // payload, each byte once
	SYN         int            `json:"syn,omitempty"`
	FIN         bool           `json:"fin,omitempty"`
	Resent      int            `json:"retransmissions,omitempty"`
	Segments    int            `json:"segments,omitempty"` // packets with payload
	Duplicates  int            `json:"duplicates,omitempty"`
	Reordered   int            `json:"reordered,omitempty"`
	Missing     int64          `json:"missing_bytes,omitempty"` // sent, but not in the capture
	ZeroWindow  time.Duration  `json:"zero_window,omitempty"`   // ns during which it would take nothing
	ZeroWindows int            `json:"zero_windows,omitempty"`
	TTL         uint8          `json:"ttl,omitempty"`
	MSS         uint16         `json:"mss,omitempty"`
	Stuck       int            `json:"stuck_bytes,omitempty"` // size of the segment that was resent and never acknowledged
	StuckTimes  int            `json:"stuck_times,omitempty"`
}

// Reset is an RST.
type Reset struct {
	By      string        `json:"by"` // "client", "server"
	At      time.Duration `json:"at"`
	TTL     uint8         `json:"ttl"`
	Foreign bool          `json:"foreign,omitempty"` // its TTL differs from all earlier packets of that end: somebody in between sent it
	Bytes   int64         `json:"bytes"`             // payload of both ends before it
}

// ICMP is a message of a router about the stream.
type ICMP struct {
	From netip.Addr    `json:"from"`
	Kind string        `json:"kind"` // "frag-needed", "unreachable", "prohibited", "ttl-exceeded"
	MTU  int           `json:"mtu,omitempty"`
	At   time.Duration `json:"at"`
}

// Stage is a command and its answer; names are those of `deliver`, for IMAP and POP3 the command in lower case.
type Stage struct {
	Name  string        `json:"stage"`
	Arg   string        `json:"arg,omitempty"` // masked
	At    time.Duration `json:"at"`
	Took  time.Duration `json:"took,omitempty"`
	Code  int           `json:"code,omitempty"`   // SMTP
	OK    bool          `json:"ok"`               // accepted
	Done  bool          `json:"done"`             // answered at all
	Reply string        `json:"reply,omitempty"`  // all its lines
	Lines int           `json:"frames,omitempty"` // lines of the reply
}

// Certificate is what can be seen of a server's certificate (TLS 1.2 and older).
type Certificate struct {
	Subject string    `json:"subject"`
	Names   []string  `json:"names,omitempty"`
	Issuer  string    `json:"issuer"`
	From    time.Time `json:"not_before"`
	Until   time.Time `json:"not_after"`
}

// TLS is what can be seen of a handshake.
type TLS struct {
	At          time.Duration `json:"at"`
	SNI         string        `json:"sni,omitempty"`
	Offered     string        `json:"offered,omitempty"` // the client's best version
	Version     string        `json:"version,omitempty"` // agreed
	Suite       string        `json:"suite,omitempty"`
	ALPN        []string      `json:"alpn,omitempty"`
	Certificate *Certificate  `json:"certificate,omitempty"`
	Alert       string        `json:"alert,omitempty"` // in words
	AlertBy     string        `json:"alert_by,omitempty"`
	Hello       bool          `json:"client_hello"`
	Answer      bool          `json:"server_hello"`
	Established bool          `json:"established"`
	NotTLS      bool          `json:"not_tls,omitempty"` // something else was said where TLS should have been
}

// Message is a mail that was passed.
type Message struct {
	From  string `json:"from,omitempty"` // who sent it along: "client" (SMTP, APPEND) or "server"
	Bytes int64  `json:"bytes"`
	Whole bool   `json:"whole"` // to its end, with no gap
}

// Stream is one TCP conversation.
type Stream struct {
	Number     int             `json:"number"` // in order of appearance, from 0
	Protocol   string          `json:"protocol,omitempty"`
	Client     Side            `json:"client"`
	Server     Side            `json:"server"`
	Start      time.Time       `json:"start"`
	Took       time.Duration   `json:"took"`
	Quiet      time.Duration   `json:"quiet,omitempty"` // from its last packet to the end of the capture, where nobody closed it
	SYNACK     bool            `json:"syn_ack"`
	OneSided   string          `json:"one_sided,omitempty"` // the only end seen, where it must have had an answer
	Midway     bool            `json:"midway,omitempty"`    // begins in the middle: no SYN in the capture
	Banner     time.Duration   `json:"banner,omitempty"`    // from the end of the handshake to the greeting
	Reset      *Reset          `json:"reset,omitempty"`
	ClosedBy   string          `json:"closed_by,omitempty"` // who sent FIN first
	ICMP       []ICMP          `json:"icmp,omitempty"`
	Requests   int             `json:"requests"`
	Replies    int             `json:"replies"`
	Wireshark  *Wireshark      `json:"wireshark,omitempty"` // what it counts in the same stream
	MailFrom   []string        `json:"mail_from,omitempty"`
	Codes      []string        `json:"codes,omitempty"` // SMTP, the first 1000
	Stages     []Stage         `json:"stages,omitempty"`
	Messages   []Message       `json:"messages,omitempty"`
	TLS        *TLS            `json:"tls,omitempty"`
	Cleartext  bool            `json:"cleartext_password,omitempty"`
	LastSaid   time.Duration   `json:"last_said,omitempty"`  // when the client last sent payload
	LastHeard  time.Duration   `json:"last_heard,omitempty"` // when the server last sent payload
	Waiting    string          `json:"waiting,omitempty"`    // stage whose answer never came
	WaitedFor  time.Duration   `json:"waited,omitempty"`     // for it, until the end of the stream
	Acked      bool            `json:"acked,omitempty"`      // the peer's TCP had everything the client sent
	Transcript wire.Transcript `json:"transcript,omitempty"`
	LeftOut    int             `json:"lines_left_out,omitempty"`
}

// Is tells whether bytes begin a capture file, packed with gzip or not.
func Is(b []byte) bool {
	_, err := open(bytes.NewReader(b))
	return err == nil
}

// Read reads a capture; each is called as each stream ends, in no certain order, and may keep what it gets. The error is
// ErrFormat, that of the reader, the context's, or that of Options.Message; damage inside the file is in the Summary.
func Read(ctx context.Context, r io.Reader, opt Options, each func(*Stream)) (*Summary, error) {
	f, err := open(r)
	if err != nil {
		return nil, err
	}
	if opt.MaxOpen <= 0 {
		opt.MaxOpen = 1 << 16
	}
	if opt.MaxLines <= 0 {
		opt.MaxLines = 400
	}
	t := &table{opt: opt, each: each, flows: map[flow]*conv{}}
	t.sum.Format, t.sum.Mail, t.sum.Links = "pcap", map[string]int{}, map[uint32]int{}
	if f.ng {
		t.sum.Format = "pcapng"
	}
	var p packet
	for {
		if t.sum.Packets&1023 == 0 && ctx.Err() != nil {
			return &t.sum, ctx.Err()
		}
		if err = f.next(&p); err != nil {
			break
		}
		t.packet(&p)
		if t.err != nil {
			return &t.sum, t.err
		}
	}
	t.end()
	t.sum.Cut = f.cut
	if f.broken != nil {
		t.sum.Broken = f.broken.Error()
	}
	if err != io.EOF {
		if t.sum.Packets == 0 {
			return &t.sum, err
		}
		t.sum.Broken = err.Error()
	}
	return &t.sum, t.err
}
