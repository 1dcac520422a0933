package clickhouse

import (
	"os"
	"testing"
	"time"
)

// TestStart runs one shard with two replicas, kills one and starts it again.
func TestStart(t *testing.T) {
	if why := Missing(); why != "" {
		if os.Getenv("MAILWHY_LAB") == "required" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	began := time.Now()
	c, err := Start(t.Context(), t.TempDir()+"/c", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	t.Logf("ready after %v", time.Since(began))
	c.Servers[1].Kill()
	if err := c.Servers[1].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}
