package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// remote is a mailwhy serve elsewhere, asked over its API with a token. It is only read.
type remote struct {
	base  string // ends with /api/v1/
	token string
	c     *http.Client
}

// remoteFlags are the flags that name one.
type remoteFlags struct{ url, tokenFile string }

func (a *app) remoteFlags(c *cobra.Command, f *remoteFlags) {
	c.Flags().StringVar(&f.url, "server", "", a.say("ask this mailwhy serve: https://mail.example/why"))
	c.Flags().StringVar(&f.tokenFile, "token-file", "", a.say("file whose first line is a token of that server (Settings, Tokens)"))
}

// remoteWait is how long an answer of a server is waited for.
const remoteWait = time.Minute

// openRemote checks the address and reads the token.
func (a *app) openRemote(f *remoteFlags) (*remote, error) {
	u, err := url.Parse(f.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, usage(finding.S("{{.URL}} is no address of a server", finding.Args{"URL": shorten(f.url)}), finding.S("give it like https://mail.example/why", nil))
	}
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		return nil, usage(finding.S("{{.URL}} would be told the token in the clear", finding.Args{"URL": shorten(f.url)}), finding.S("give https://, or http:// on this machine", nil))
	}
	if f.tokenFile == "" {
		return nil, usage(finding.S("--server wants --token-file", nil), finding.S("make a token in the settings of the page; a viewer's is enough", nil))
	}
	token, err := a.readSecret(notify.Secret("file:" + f.tokenFile))
	if err != nil {
		return nil, unreadable(f.tokenFile, err)
	}
	base := strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/") + "/api/v1/"
	return &remote{base: base, token: token, c: &http.Client{Timeout: remoteWait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// maxAnswer bounds what a server may answer.
const maxAnswer = 64 << 20

// errNotThere says that the server has no such thing, or none the token may see.
var errNotThere = errors.New("not found")

// get asks for a path of the API.
func (r *remote) get(ctx context.Context, l finding.Lang, path string, q url.Values) ([]byte, error) {
	if q == nil {
		q = url.Values{}
	}
	q.Set("lang", string(l))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Accept", "application/json")
	res, err := r.c.Do(req)
	var op *net.OpError
	if errors.As(err, &op) {
		err = op
	}
	if err != nil {
		return nil, &readError{what: finding.S("the server {{.Where}} cannot be asked: {{.Text}}", finding.Args{"Where": r.base, "Text": finding.Raw(err.Error())}), err: err}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) > maxAnswer:
		return nil, fmt.Errorf("%s: the answer is longer than %d bytes", path, maxAnswer)
	case res.StatusCode == http.StatusNotFound:
		return nil, errNotThere
	case res.StatusCode != http.StatusOK:
		var p struct{ Title, Detail string }
		_ = json.Unmarshal(raw, &p) // a proxy may answer in words of its own
		return nil, &readError{what: finding.S("the server {{.Where}} refused: {{.Status}} {{.Text}}", finding.Args{"Where": r.base, "Status": res.StatusCode, "Text": finding.Raw(shorten(strings.TrimSpace(p.Title + " " + p.Detail)))}), err: errors.New(res.Status)}
	}
	return raw, nil
}

// journeys searches the store of the server: at most n messages, the newest first.
func (r *remote) journeys(ctx context.Context, q url.Values, n int) iter.Seq2[*trace.Journey, error] {
	return func(yield func(*trace.Journey, error) bool) {
		q.Set("limit", fmt.Sprint(n))
		raw, err := r.get(ctx, finding.EN, "trace", q)
		var list struct{ Items []struct{ ID string } }
		if err == nil {
			err = json.Unmarshal(raw, &list)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for _, item := range list.Items {
			raw, err := r.get(ctx, finding.EN, "journeys/"+url.PathEscape(item.ID), nil)
			if errors.Is(err, errNotThere) { // it went with the retention
				continue
			}
			var one struct{ Journey *trace.Journey }
			if err == nil {
				err = json.Unmarshal(raw, &one)
			}
			if err == nil && one.Journey == nil {
				err = errNotThere
			}
			if !yield(one.Journey, err) || err != nil {
				return
			}
		}
	}
}

// masked puts pseudonyms into every text of a journey that came from a server.
func masked(j *trace.Journey, r *trace.Redactor) *trace.Journey {
	maskIn(reflect.ValueOf(j).Elem(), r)
	return j
}

func maskIn(v reflect.Value, r *trace.Redactor) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			maskIn(v.Elem(), r)
		}
	case reflect.Slice:
		for i := range v.Len() {
			maskIn(v.Index(i), r)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			switch {
			case !f.CanSet():
			case name == "Subject" && f.Kind() == reflect.String && f.String() != "":
				f.SetString(string(r.Line([]byte(f.String()), []byte(f.String()))))
			default:
				maskIn(f, r)
			}
		}
	case reflect.String:
		if v.CanSet() && v.String() != "" {
			v.SetString(r.Text(v.String()))
		}
	}
}
