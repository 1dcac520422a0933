package intake

import (
	"crypto/x509"
	"syscall"
)

// descriptors is how many files this process may have open.
func descriptors() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return int(min(l.Cur, 1<<20))
}

func marshalKey(key any) ([]byte, error) { return x509.MarshalPKCS8PrivateKey(key) }
