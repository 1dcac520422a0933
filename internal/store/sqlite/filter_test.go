package sqlite

import "testing"

// What is in a part is never denied; of what is not, at most one of a hundred is looked up in vain.
func TestFilterDeniesNearlyAllThatIsNotThere(t *testing.T) {
	const n = 100_000
	mix := func(i uint64) uint64 { // any 64 bits that differ, as hashes do
		i *= 0x9E3779B97F4A7C15
		i ^= i >> 29
		i *= 0xBF58476D1CE4E5B9
		return (i ^ i>>32) >> blockBits << blockBits
	}
	var entries []entry
	for i := range uint64(n) {
		entries = append(entries, entry(mix(i)))
	}
	f := newFilter(entries)
	for _, e := range entries {
		if !f.has(e) {
			t.Fatalf("%x is in it and was denied", e)
		}
	}
	vain := 0
	for i := range uint64(n) {
		if f.has(entry(mix(n + i))) {
			vain++
		}
	}
	if vain > n/100 {
		t.Errorf("%d of %d would be looked up in vain", vain, n)
	}
}
