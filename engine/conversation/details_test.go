package conversation_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

type member struct {
	field      conversation.Field
	name, json string
}

func pack(members []member) (d conversation.Details) {
	for _, m := range members {
		if m.field == 0 {
			d = d.AppendExtension([]byte(m.name), []byte(m.json))
		} else {
			d = d.AppendField(m.field, []byte(m.json))
		}
	}
	return d
}

func unpack(d conversation.Details) (members []member) {
	for m := range d.Members() {
		members = append(members, member{m.Field, string(m.Name), string(m.JSON)})
	}
	return members
}

// What is packed comes out again: every field, an empty name, a long value, in order.
func TestDetailsRoundTrip(t *testing.T) {
	members := []member{{0, "", "null"}, {0, "größe", `"1.10"`}, {0, "long", string(slices.Repeat([]byte("7"), 300))}}
	for f := conversation.SessionID; f <= conversation.DispositionDesc; f++ {
		members = append(members, member{f, "", `"` + f.String() + `"`})
	}
	d := pack(members)
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	if got := unpack(d); !slices.Equal(got, members) {
		t.Errorf("packed %v, unpacked %v", members, got)
	}
	if n := d.Extensions(); n != 3 {
		t.Errorf("%d extensions, 3 were packed", n)
	}
	if got := string(d.Field(conversation.ResourceID)); got != `"resource_id"` {
		t.Errorf("resource_id is %s", got)
	}
	if got := conversation.Details(nil).Field(conversation.SessionID); got != nil {
		t.Errorf("session_id of nothing is %s", got)
	}
}

// Torn bytes are found by Check: a Details may end between two members and nowhere else.
func TestDetailsTorn(t *testing.T) {
	r := newRandom(t)
	for range 200 {
		var d conversation.Details
		whole := map[int]bool{0: true}
		for range 1 + r.IntN(4) {
			d = append(d, r.details()...)
			d = d.AppendField(conversation.SessionID, []byte(`"s"`))
		}
		at := 0
		for m := range d.Members() {
			at += 1 + 1 + len(m.JSON) // all of them are short: a length is one byte
			if m.IsExtension() {
				at += 1 + len(m.Name)
			}
			whole[at] = true
		}
		for cut := range len(d) + 1 {
			if err := d[:cut].Check(); (err == nil) != whole[cut] {
				t.Fatalf("%x cut to %d of %d bytes: %v", []byte(d), cut, len(d), err)
			}
		}
	}
}

// Bytes that no event could have made are refused: an unknown field, a length past the end, a
// length that never ends.
func TestDetailsWrong(t *testing.T) {
	for _, d := range []conversation.Details{
		{byte(conversation.DispositionDesc) + 1, 1, '1'},
		{255, 0},
		{byte(conversation.SessionID), 2, '1'},
		{byte(conversation.SessionID), 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, '1'},
		{byte(conversation.SessionID), 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
		{0, 1, 'a'},
		{0, 255, 255, 255, 255, 15, 'a', 1, '1'},
	} {
		if d.Check() == nil {
			t.Errorf("%x passes", []byte(d))
		}
	}
}

// Whatever the bytes are, Check says yes or no; after a yes they can be read without a panic,
// and packing what was read gives Details that say the same.
func FuzzDetails(f *testing.F) {
	r := random{rand.New(rand.NewPCG(1, 1))}
	for range 20 {
		f.Add([]byte(r.details()))
	}
	f.Add([]byte{0, 255, 255, 255, 255, 15, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := conversation.Details(b)
		if d.Check() != nil {
			return
		}
		members := unpack(d)
		again := pack(members)
		if err := again.Check(); err != nil {
			t.Fatalf("%x was packed again as %x: %v", b, []byte(again), err)
		}
		if !slices.Equal(unpack(again), members) {
			t.Fatalf("%x says %v, packed again it says %v", b, members, unpack(again))
		}
		for field := conversation.SessionID; field <= conversation.DispositionDesc; field++ {
			d.Field(field)
		}
	})
}
