package autoconf

import (
	"crypto/sha256"
	"fmt"
)

// uuid makes a name-based UUID (RFC 9562 section 5.8, version 8) that is the same for the same name.
func uuid(name string) string {
	h := sha256.Sum256([]byte(name))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
