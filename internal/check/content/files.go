package content

import (
	"archive/zip"
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/mimetree"
)

// File is one attachment.
type File struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Size      int      `json:"size"`
	Dangerous bool     `json:"dangerous,omitempty"` // its ending runs a program
	Double    bool     `json:"double_extension,omitempty"`
	Macro     string   `json:"macro,omitempty"`     // "yes" (a macro project is in it) or "by-kind" (its ending says so)
	Disguised string   `json:"disguised,omitempty"` // what the bytes are, where the name says otherwise
	Page      bool     `json:"page,omitempty"`
	Encrypted bool     `json:"encrypted,omitempty"`
	Inside    []string `json:"dangerous_inside,omitempty"` // dangerous names in an archive
}

const maxNames = 2000

// readFile looks at a file's name and its first bytes; archives and Office files are listed, not unpacked.
func readFile(p *mimetree.Part, t *knowledge.Content) File {
	f := File{Name: clip(p.Filename, 200), Type: p.Type, Size: p.Size}
	name := strings.TrimRight(strings.ToLower(strings.ReplaceAll(p.Filename, "\u202e", "")), ". ")
	ext := extension(name)
	f.Dangerous = slices.Contains(t.Dangerous, ext)
	f.Double = f.Dangerous && slices.Contains(t.Harmless, extension(strings.TrimRight(strings.TrimSuffix(name, "."+ext), " _")))
	f.Double = f.Double || strings.Contains(p.Filename, "\u202e")
	f.Page = slices.Contains(t.Page, ext) || p.Type == "text/html"
	if slices.Contains(t.Macro, ext) {
		f.Macro = "by-kind"
	}
	data := p.Data
	switch {
	case bytes.HasPrefix(data, []byte("MZ")) || bytes.HasPrefix(data, []byte("\x7fELF")):
		if !f.Dangerous {
			f.Disguised = "program"
		}
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		f.zip(data, t)
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		// An OLE file names its streams in UTF-16; a macro project has one called _VBA_PROJECT.
		if bytes.Contains(data, utf16("_VBA_PROJECT")) || bytes.Contains(data, utf16("Macros")) && bytes.Contains(data, utf16("VBA")) {
			f.Macro = "yes"
		}
		if bytes.Contains(data, utf16("EncryptedPackage")) {
			f.Encrypted = true
		}
	case bytes.HasPrefix(data, []byte("Rar!")) && ext != "rar", bytes.HasPrefix(data, []byte("7z\xbc\xaf")) && ext != "7z":
		f.Disguised = "archive"
	}
	return f
}

// zip lists the names of a zip archive; OOXML files are such archives.
func (f *File) zip(data []byte, t *knowledge.Content) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return
	}
	for i, e := range r.File {
		if i >= maxNames {
			break
		}
		low := strings.ToLower(e.Name)
		f.Encrypted = f.Encrypted || e.Flags&1 != 0
		if path.Base(low) == "vbaproject.bin" {
			f.Macro = "yes"
		}
		if slices.Contains(t.Dangerous, extension(low)) && !strings.HasPrefix(low, "_rels") && len(f.Inside) < 10 {
			f.Inside = append(f.Inside, clip(e.Name, 100))
		}
	}
}

func utf16(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		out = append(out, s[i], 0)
	}
	return out
}

func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[i+1:]
	}
	return ""
}
