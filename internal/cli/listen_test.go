package cli

import (
	"net"
	"strings"
	"testing"
)

// A port that another program has: the demo takes another one, and serve says so.
func TestABusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().String()
	if got := freeOr(t.Context(), at); got != "127.0.0.1:0" {
		t.Errorf("the demo would listen at %s", got)
	}
	_, err = (&service{cfg: &Config{Serve: ServeConfig{Listen: at}}}).listen(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "cannot listen at "+at+": ") || strings.Contains(err.Error(), "bind") {
		t.Errorf("serve says %v", err)
	}
}
