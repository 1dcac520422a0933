package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

func options() Options {
	return Options{Dialects: dialects.All(), Know: knowledge.Embedded(), Now: storetest.Now}
}

func data() string {
	if dir := os.Getenv("MAILWHY_DATA"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "..", "..", "shared", "data")
}

func TestContract(t *testing.T) {
	storetest.Journeys(t, data(), func(t *testing.T, folder string) storetest.Store {
		opt := options()
		opt.Trouble = func(err error) { t.Error(err) }
		s, err := Open(context.Background(), folder, opt)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestContractInSmallSegments has a new segment begun after each block.
func TestContractInSmallSegments(t *testing.T) {
	storetest.Journeys(t, data(), func(t *testing.T, folder string) storetest.Store {
		opt := options()
		opt.Segment = 1
		opt.Trouble = func(err error) { t.Error(err) }
		s, err := Open(context.Background(), folder, opt)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
