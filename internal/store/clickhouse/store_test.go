package clickhouse

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
	lab "github.com/mailwhy/mailwhy/lab/clickhouse"
)

func options() Options {
	return Options{Dialects: dialects.All(), Know: knowledge.Embedded(), Now: storetest.Now}
}

// data is the folder of real logs.
func data() string {
	if dir := os.Getenv("MAILWHY_DATA"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "..", "..", "shared", "data")
}

// cluster runs servers for a test.
func cluster(t *testing.T, shards, replicas int) *lab.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers")
	}
	if why := lab.Missing(); why != "" {
		if os.Getenv("MAILWHY_LAB") == "required" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	c, err := lab.Start(context.Background(), t.TempDir()+"/lab", shards, replicas)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// dsn is the URL of a database on the servers; name is what tells it from others.
func dsn(c *lab.Cluster, name string, distributed bool) string {
	var hosts []string
	for _, s := range c.Servers {
		hosts = append(hosts, s.Addr())
	}
	if !distributed {
		return fmt.Sprintf("%s%s/t%s", Prefix, hosts[0], short(name))
	}
	return fmt.Sprintf("%s%s/t%s?cluster=mail", Prefix, strings.Join(hosts, ","), short(name))
}

func open(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(context.Background(), dsn, options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestContract runs the contract of stores against one server.
func TestContract(t *testing.T) {
	c := cluster(t, 1, 1)
	storetest.Journeys(t, data(), func(t *testing.T, folder string) storetest.Store { return open(t, dsn(c, folder, false)) }, 60, 5000)
}
