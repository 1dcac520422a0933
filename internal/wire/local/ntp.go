package local

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// ErrNTP says that an answer was not one to set a watch by: a server that is not synchronised, or sends us away.
var ErrNTP = errors.New("the time server gave no usable time")

// ntpEpoch is 1900-01-01 in seconds before 1970.
const ntpEpoch = 2208988800

// Skew asks a time server once (SNTP, RFC 4330 section 5) how far this machine's clock is ahead of it; negative: behind.
// server is host:port.
func Skew(ctx context.Context, dial wire.Dialer, server string, now wire.Clock) (skew, roundTrip time.Duration, err error) {
	c, err := dial.DialContext(ctx, "udp", server)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	if d, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(d)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	sent := now()
	q := make([]byte, 48)
	q[0] = 4<<3 | 3 // version 4, client
	cookie := uint64(sent.Unix()+ntpEpoch)<<32 | uint64(sent.Nanosecond())
	binary.BigEndian.PutUint64(q[40:], cookie)
	if _, err := c.Write(q); err != nil {
		return 0, 0, err
	}
	b := make([]byte, 1024)
	for range 8 { // a few answers may be to somebody else
		n, err := c.Read(b)
		if err != nil {
			return 0, 0, err
		}
		got := now()
		if n < 48 || b[0]&7 != 4 || binary.BigEndian.Uint64(b[24:]) != cookie {
			continue
		}
		if stratum := b[1]; b[0]>>6 == 3 || stratum == 0 || stratum > 15 {
			return 0, 0, ErrNTP
		}
		received, replied := ntpTime(b[32:], got), ntpTime(b[40:], got)
		return (sent.Sub(received) + got.Sub(replied)) / 2, got.Sub(sent) - replied.Sub(received), nil
	}
	return 0, 0, ErrNTP
}

// ntpTime reads a timestamp of 32 bits of seconds, in the era that is nearest to near, and 32 of fraction.
func ntpTime(b []byte, near time.Time) time.Time {
	sec := int64(binary.BigEndian.Uint32(b)) - ntpEpoch
	for near.Unix()-sec > 1<<31 {
		sec += 1 << 32
	}
	return time.Unix(sec, int64(uint64(binary.BigEndian.Uint32(b[4:]))*1e9>>32))
}
