package logs

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	const object = `{"a": "x \"y\"", "b":12.5,"c":[1,"]",{}] , "d":{"e":"}"},"f":null,"g":"\u00e9"}`
	var got []string
	for m := Members([]byte(object)); m.Next(); {
		v := string(m.Value)
		if m.Quoted {
			v = string(Unescaped(m.Value))
		}
		got = append(got, string(m.Key)+"="+v)
	}
	if s := strings.Join(got, " "); s != `a=x "y" b=12.5 c=[1,"]",{}] d={"e":"}"} f=null g=é` {
		t.Error(s)
	}
	var items []string
	for rest, ok := []byte(`["a", {"b":"]"},3]`), true; ok; {
		var one []byte
		if one, rest, ok = Item(rest); ok {
			items = append(items, string(one))
		}
	}
	if s := strings.Join(items, " "); s != `a {"b":"]"} 3` {
		t.Error(s)
	}
}

func FuzzMembers(f *testing.F) {
	f.Add(`{"a":"b","c":[1,{"d":"e\u0041"}],"f":{}}`)
	f.Add("[\n{\"a\":\"}\n\"},{")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		for m := Members([]byte(text)); m.Next(); n++ {
			Unescaped(m.Value)
			for rest, ok := m.Value, true; ok; {
				before := len(rest)
				if _, rest, ok = Item(rest); ok && len(rest) >= before {
					t.Fatal("an item of nothing")
				}
			}
			if n > len(text) {
				t.Fatal("more members than text")
			}
		}
		if _, err := io.Copy(io.Discard, newObjects(bufio.NewReader(strings.NewReader(text)))); err != nil {
			t.Error(err)
		}
	})
}
