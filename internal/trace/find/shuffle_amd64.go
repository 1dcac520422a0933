package find

import "golang.org/x/sys/cpu"

// shuffles tells whether the processor can look at many places at once.
func shuffles() bool { return cpu.X86.HasAVX2 }

// shuffle looks at n places from b on, 32 at once, for those where a window may begin: it gives the first of the 32 and a bit for
// each, or how many places were looked at in vain. There must be 31 bytes and a window behind the last of the n.
func shuffle(b *byte, n int, t *tables) (at int, mask uint32) { return shuffleAVX2(b, n, t) }

//go:noescape
func shuffleAVX2(b *byte, n int, t *tables) (at int, mask uint32)
