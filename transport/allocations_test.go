//go:build !race

package transport

import "testing"

// The example costs an allocation for each of its four keys and types, and no other. (Under the race
// detector sync.Pool forgets at random.)
func TestParseCompositeAllocations(t *testing.T) {
	r, body := newRequest(), readFile(t, "composite_request.json")
	const keysAndTypes = 4
	got := testing.AllocsPerRun(200, func() {
		if err := r.parseComposite(body, testBounds); err != nil {
			t.Fatal(err)
		}
		r.forget()
	})
	if got > keysAndTypes {
		t.Errorf("%v allocations, want %v", got, keysAndTypes)
	}
}
