package persist

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// awkwardOwner has a key that looks like the beginning, or the end, of others.
func awkwardOwner(r *rand.Rand) conversation.Owner {
	text := func() string {
		b := make([]byte, r.IntN(4))
		for i := range b {
			b[i] = []byte{0, 1, 'a', 'c', 0xff}[r.IntN(5)]
		}
		return string(b)
	}
	return conversation.Owner{Tenant: text(), Key: text(), Anonymous: r.IntN(2) == 0}
}

// Pebble asks of a Split that keys with one prefix stand together and in the order of what
// follows. Here moreover the prefix is the customer: two rows have the same one just when they
// are of the same owner, the active ones stand first, and each phase is in the order of ids.
func TestComparer(t *testing.T) {
	r := newRandom(t)
	c := comparer()
	type row struct {
		owner conversation.Owner
		phase byte
		id    conversation.ServiceID
		key   []byte
	}
	random := func() row {
		w := row{owner: awkwardOwner(r), phase: byte(r.IntN(2)), id: conversation.ServiceID(r.Int64N(maxServiceID))}
		w.key = serviceKey(w.owner, w.phase, w.id)
		return w
	}
	for range 20_000 {
		a, b := random(), random()
		if r.IntN(2) == 0 {
			b.owner = a.owner
			b.key = serviceKey(b.owner, b.phase, b.id)
		}
		prefixA, prefixB := a.key[:c.Split(a.key)], b.key[:c.Split(b.key)]
		if same := a.owner == b.owner; same != bytes.Equal(prefixA, prefixB) {
			t.Fatalf("owners %+v and %+v have the prefixes %x and %x", a.owner, b.owner, prefixA, prefixB)
		}
		if len(a.key)-len(prefixA) != 1+8 || serviceOf(a.key) != a.id {
			t.Fatalf("key %x splits after %d bytes, service %d", a.key, len(prefixA), serviceOf(a.key))
		}
		want := bytes.Compare(prefixA, prefixB)
		if want == 0 {
			want = c.ComparePointSuffixes(a.key[len(prefixA):], b.key[len(prefixB):])
			if later := slices.Compare([]int64{int64(a.phase), int64(a.id)}, []int64{int64(b.phase), int64(b.id)}); later != want {
				t.Fatalf("phase %d, id %d against phase %d, id %d: %d", a.phase, a.id, b.phase, b.id, want)
			}
		}
		if got := c.Compare(a.key, b.key); got != want {
			t.Fatalf("%x against %x: %d, by prefix and rest %d", a.key, b.key, got, want)
		}
		if got := c.Compare(prefixA, a.key); got != -1 {
			t.Fatalf("prefix %x does not stand before its key %x", prefixA, a.key)
		}
	}
}

// The keys that are no rows are prefixes themselves, and stand apart: frames before the mark,
// all before rows, index and due rows last. What shortens keys between blocks keeps them in order.
func TestComparerOfOtherKeys(t *testing.T) {
	c := comparer()
	keys := [][]byte{
		frameKey(0), frameKey(1), frameKey(1 << 40), frameKey(1<<64 - 1), markKey, timersKey, segmentKey(0), segmentKey(1 << 50),
		serviceKey(conversation.Owner{}, activePhase, 1), serviceKey(conversation.Owner{Key: "\xff"}, completedPhase, maxServiceID),
		indexKey(1), indexKey(maxServiceID), dueKey(1, 2), dueKey(goldenAt, 1),
	}
	for i, key := range keys {
		if whole := c.Split(key) == len(key); whole == (key[0] == customerTag) {
			t.Errorf("%x splits after %d bytes", key, c.Split(key))
		}
		if next := c.Successor(nil, key); c.Compare(key, next) > 0 {
			t.Errorf("%x is to stand before its successor %x", key, next)
		}
		if i == 0 {
			continue
		}
		if c.Compare(keys[i-1], key) >= 0 {
			t.Errorf("%x does not stand before %x", keys[i-1], key)
		}
		if between := c.Separator(nil, keys[i-1], key); c.Compare(keys[i-1], between) > 0 || c.Compare(between, key) >= 0 {
			t.Errorf("%x does not stand between %x and %x", between, keys[i-1], key)
		}
	}
}

// An owner comes back from its bytes, whole only, and leaves what follows.
func TestOwner(t *testing.T) {
	r := newRandom(t)
	for range 2000 {
		want := awkwardOwner(r)
		b := appendOwner(nil, want)
		if len(b) != ownerSize(want) {
			t.Fatalf("%+v takes %d bytes, %d were counted", want, len(b), ownerSize(want))
		}
		got, rest, err := readOwner(append(b[:len(b):len(b)], "next"...))
		if err != nil || got != want || string(rest) != "next" {
			t.Fatalf("%+v came back as %+v before %q, %v", want, got, rest, err)
		}
		for cut := range b {
			if _, _, err := readOwner(b[:cut]); err == nil {
				t.Fatalf("%x cut to %d bytes passes", b, cut)
			}
		}
	}
	if _, _, err := readOwner([]byte{'x', 0, 0, 0}); err == nil {
		t.Error("an owner of an unknown kind passes")
	}
}

// The longest owner that fits has a key; a longer one is our own mistake, which is said.
func TestLongestOwner(t *testing.T) {
	o := conversation.Owner{Tenant: string(make([]byte, MaxTenantBytes)), Key: string(make([]byte, MaxKeyBytes))}
	key := serviceKey(o, activePhase, 7)
	if got, rest, err := readOwner(key[1:]); err != nil || got != o || len(rest) != 9 || serviceOf(key) != 7 {
		t.Errorf("comes back with %d bytes left, %v", len(rest), err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a longer one passes")
		}
	}()
	o.Key += "x"
	appendOwner(nil, o)
}
