package domain

import (
	"context"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/mail"
)

// question is something a topic will ask one round trip later than it could be asked.
type question struct {
	name string
	t    mail.Type
}

// prefetch asks early what topics ask one after the other, so that the whole survey waits for few round trips. It asks
// nothing that no topic asks; the answers stay in the run's memory.
func prefetch(ctx context.Context, env *check.Env, domain string) {
	var qs []question
	for n := domain; n != ""; { // the tree walk of RFC 9989
		qs = append(qs, question{"_dmarc." + n, mail.TypeTXT})
		_, n, _ = strings.Cut(n, ".")
	}
	askAll(ctx, env, qs[:min(len(qs), 8)])
}

// maxReports bounds the report addresses that are looked ahead for.
const maxReports = 6

// prefetchReports asks for what shows whether DMARC reports arrive.
func prefetchReports(ctx context.Context, env *check.Env, domain, record string) {
	var qs []question
	rest := record
	for range maxReports {
		_, after, ok := strings.Cut(rest, "mailto:")
		if !ok {
			break
		}
		rest = after
		end := strings.IndexAny(after, ",;! ")
		if end < 0 {
			end = len(after)
		}
		_, host, ok := strings.Cut(after[:end], "@")
		if host = strings.ToLower(host); !ok || host == "" || host == domain {
			continue
		}
		qs = append(qs, question{domain + "._report._dmarc." + host, mail.TypeTXT}, question{host, mail.TypeMX},
			question{host, mail.TypeA}, question{host, mail.TypeAAAA})
	}
	askAll(ctx, env, qs)
}

func askAll(ctx context.Context, env *check.Env, qs []question) {
	var wg sync.WaitGroup
	for _, q := range qs {
		wg.Go(func() { env.DNS.Resolve(ctx, q.name, q.t) })
	}
	wg.Wait()
}
