package cli

import (
	"net/netip"
	"reflect"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// redactReport puts pseudonyms into everything a report says, before it is laid out, so that columns keep their width and
// names are whole. Words of our own (sentences, ids of rules and causes) stay.
func redactReport(r *finding.Report, by *trace.Redactor) {
	for _, part := range []any{&r.Target, &r.Headline, &r.Findings, &r.Sections, &r.Facts} {
		redactValue(reflect.ValueOf(part).Elem(), by)
	}
}

func redactValue(v reflect.Value, by *trace.Redactor) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() != reflect.TypeFor[finding.Msg]() && !isRuleID(v.String()) {
			v.SetString(by.Text(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*finding.Rule]() {
			redactValue(v.Elem(), by)
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(redactedCopy(v.Elem(), by))
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		dup := reflect.MakeSlice(v.Type(), v.Len(), v.Len()) // the parts may be shared with tables of ours
		reflect.Copy(dup, v)
		for i := range dup.Len() {
			redactValue(dup.Index(i), by)
		}
		v.Set(dup)
	case reflect.Array:
		for i := range v.Len() {
			redactValue(v.Index(i), by)
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		dup := reflect.MakeMapWithSize(v.Type(), v.Len())
		for k, e := range v.Seq2() {
			if v.Type() != reflect.TypeFor[finding.Args]() {
				k = redactedCopy(k, by)
			}
			dup.SetMapIndex(k, redactedCopy(e, by))
		}
		v.Set(dup)
	case reflect.Struct:
		redactStruct(v, by)
	}
}

func redactStruct(v reflect.Value, by *trace.Redactor) {
	switch x := v.Interface().(type) {
	case time.Time:
		return
	case netip.Addr:
		if a, err := netip.ParseAddr(by.Text(x.String())); err == nil {
			v.Set(reflect.ValueOf(a))
		}
		return
	case netip.Prefix:
		if a, err := netip.ParseAddr(by.Text(x.Addr().String())); err == nil {
			v.Set(reflect.ValueOf(netip.PrefixFrom(a, x.Bits()).Masked()))
		}
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && (f.Name != "Causes" || v.Type() != reflect.TypeFor[finding.Finding]()) { // ids of findings look like host names
			redactValue(v.Field(i), by)
		}
	}
}

func redactedCopy(v reflect.Value, by *trace.Redactor) reflect.Value {
	dup := reflect.New(v.Type()).Elem()
	dup.Set(v)
	redactValue(dup, by)
	return dup
}
