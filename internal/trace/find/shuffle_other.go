//go:build !amd64

package find

// shuffles tells that the other ways are taken, see New.
func shuffles() bool { return false }

func shuffle(*byte, int, *tables) (at int, mask uint32) { panic("not on this processor") }
