package cli

import (
	"encoding/binary"
	"strings"
)

// tinyCapture is a capture of one SMTP session in which the recipient is refused, made for the scripts.
func tinyCapture() []byte {
	b := make([]byte, 24)
	binary.LittleEndian.PutUint32(b, 0xa1b2c3d4)
	binary.LittleEndian.PutUint32(b[20:], 101) // raw IP
	seq := [2]uint32{1000, 9000}
	for i, l := range []string{
		">S", "<SA", ">A", "<220 mx.to.example ESMTP", ">EHLO mail.mine.example", "<250 mx.to.example", ">AUTH PLAIN AGxpAHNlY3JldA==", "<235 2.7.0 ok",
		">MAIL FROM:<li@mine.example>", "<250 ok", ">RCPT TO:<ok@to.example>", "<250 ok", ">RCPT TO:<wang@to.example>", "<550 5.1.1 <wang@to.example>: User unknown",
		">DATA", "<354 go on", ">Subject: private", ">.", "<250 ok", ">QUIT", "<221 bye", ">F", "<F",
	} {
		dir := 0
		if l[0] == '<' {
			dir = 1
		}
		flags, text := byte(16), strings.TrimSpace(l[1:])+"\r\n"
		if f, ok := map[string]byte{"S": 2, "SA": 18, "A": 16, "F": 17}[l[1:]]; ok {
			flags, text = f, ""
		}
		p := make([]byte, 40+len(text))
		p[0], p[8], p[9] = 0x45, 64, 6
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[12:], []byte{192, 0, 2, byte(1 + dir), 192, 0, 2, byte(2 - dir)})
		ports := [2]uint16{40000, 25}
		binary.BigEndian.PutUint16(p[20:], ports[dir])
		binary.BigEndian.PutUint16(p[22:], ports[1-dir])
		binary.BigEndian.PutUint32(p[24:], seq[dir])
		binary.BigEndian.PutUint32(p[28:], seq[1-dir])
		p[32], p[33], p[34] = 0x50, flags, 0x20
		copy(p[40:], text)
		seq[dir] += uint32(len(text))
		if flags&3 != 0 {
			seq[dir]++
		}
		h := make([]byte, 16)
		binary.LittleEndian.PutUint32(h, 1700000000+uint32(i))
		binary.LittleEndian.PutUint32(h[8:], uint32(len(p)))
		binary.LittleEndian.PutUint32(h[12:], uint32(len(p)))
		b = append(append(b, h...), p...)
	}
	return b
}
