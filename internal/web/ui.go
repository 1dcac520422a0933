package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed all:dist
var dist embed.FS

// UIPolicy is the Content-Security-Policy of the pages: nothing from elsewhere, nothing inline, no frames.
const UIPolicy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"

// UI serves the pages that `make ui` built into the binary, below whatever prefix it is mounted at: the pages name
// everything relative to their own address. A binary built without them serves one plain page that says how to build.
func UI() (http.Handler, error) {
	built, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	return uiFrom(built)
}

// file is one file of the pages, ready to be sent.
type file struct {
	kind         string
	plain, gzip  []byte // gzip is nil where it would not be shorter
	tag          string // ETag of the plain form
	neverChanges bool   // the name holds a hash of the content
}

type pages map[string]file

func uiFrom(built fs.FS) (http.Handler, error) {
	p := pages{}
	err := fs.WalkDir(built, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		b, err := fs.ReadFile(built, name)
		if err != nil {
			return err
		}
		p[name], err = newFile(name, b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pages in the binary: %w", err)
	}
	if _, ok := p["index.html"]; !ok {
		p["index.html"], err = newFile("index.html", []byte(notBuilt))
	}
	return p, err
}

func newFile(name string, b []byte) (file, error) {
	f := file{kind: mime.TypeByExtension(path.Ext(name)), plain: b, neverChanges: strings.HasPrefix(name, "assets/")}
	switch path.Ext(name) { // the machine's own table of types may be missing or odd
	case ".html":
		f.kind = "text/html; charset=utf-8"
	case ".js":
		f.kind = "text/javascript; charset=utf-8"
	case ".css":
		f.kind = "text/css; charset=utf-8"
	case ".svg":
		f.kind = "image/svg+xml"
	}
	sum := sha256.Sum256(b)
	f.tag = hex.EncodeToString(sum[:12])
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return f, err
	}
	if _, err := w.Write(b); err != nil {
		return f, err
	}
	if err := w.Close(); err != nil {
		return f, err
	}
	if z.Len() < len(b) {
		f.gzip = z.Bytes()
	}
	return f, nil
}

func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", UIPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Vary", "Accept-Encoding")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	f, ok := p[name]
	if !ok {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	f.send(w, r)
}

func (f file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache")
	if f.neverChanges {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, tag := f.plain, `"`+f.tag+`"`
	if f.gzip != nil && takesGzip(r) {
		body, tag = f.gzip, `"`+f.tag+`-gz"`
		h.Set("Content-Encoding", "gzip")
		if r.Header.Get("Range") == "" {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	h.Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reads Accept-Encoding as far as browsers use it: a coding named without ;q=0.
func takesGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		coding, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64)
		return q == "" || err != nil || weight > 0
	}
	return false
}

// notBuilt stands for the pages in a binary built without them.
const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>mailwhy</title></head>
<body><main>
<h1>mailwhy is running, without its pages</h1>
<p>This binary was built without the web page. Build it again with <code>make ui build</code> (needs Node.js 20 or later).</p>
<p>The API is here: <a href="api/v1/openapi.json">api/v1/openapi.json</a></p>
<h2 lang="zh-CN">mailwhy 正在运行，但不含网页</h2>
<p lang="zh-CN">此程序在构建时未包含网页。用 <code>make ui build</code> 重新构建即可（需要 Node.js 20 或更高版本）。</p>
<p lang="zh-CN">API 在此：<a href="api/v1/openapi.json">api/v1/openapi.json</a></p>
</main></body></html>
`
