package persist

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// checkSegments counts what segments say anew, from the frames and rows on disk: nothing that a row
// leads to is missing, nothing is kept that nobody needs. Everything must be synced.
func checkSegments(t *testing.T, s *Store) {
	t.Helper()
	s.mu.Lock()
	mark := s.tail.from
	s.mu.Unlock()
	each := func(tag byte, do func(key, value []byte)) {
		iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tag}, UpperBound: []byte{tag + 1}})
		if err != nil {
			t.Fatal(err)
		}
		for valid := iter.First(); valid; valid = iter.Next() {
			do(iter.Key(), iter.Value())
		}
		if err := iter.Close(); err != nil {
			t.Fatal(err)
		}
	}
	used, frames := map[uint64]uint64{}, map[uint64]int{}
	each(frameTag, func(key, value []byte) {
		first := binary.BigEndian.Uint64(key[1:])
		_, groups, err := readFrame(value, nil)
		if err != nil {
			t.Fatal(err)
		}
		frames[first] = len(groups)
	})
	each(customerTag, func(key, value []byte) {
		r := reader{b: value}
		if codec, _, err := r.rowHeader(); err != nil || codec != leadRow {
			return
		}
		ref, err := r.lead()
		if err != nil || frames[ref.frame] < ref.at+ref.bytes {
			t.Fatalf("the row at %x leads to %+v, where there is nothing, %v", key, ref, err)
		}
		used[ref.frame/s.segments.records] += uint64(ref.bytes)
	})
	stored := map[uint64]segment{}
	each(segmentTag, func(key, value []byte) {
		seg, err := decodeSegment(value)
		if err != nil {
			t.Fatal(err)
		}
		stored[binary.BigEndian.Uint64(key[1:])] = seg
	})
	for n, seg := range stored {
		if seg.used != used[n] || s.segments.all[n] != seg {
			t.Fatalf("segment %d is %+v on disk and %+v in memory; rows lead to %d bytes of it", n, seg, s.segments.all[n], used[n])
		}
		if seg.used == 0 && (n+1)*s.segments.records <= mark {
			t.Fatalf("segment %d is kept for nobody", n)
		}
	}
	for first, bytes := range frames {
		if seg, there := stored[first/s.segments.records]; !there || int(seg.raw) < bytes {
			t.Fatalf("the frame of record %d has %d bytes, its segment %+v", first, bytes, seg)
		}
	}
	if len(stored) != len(s.segments.all) {
		t.Fatalf("%d segments on disk, %d in memory", len(stored), len(s.segments.all))
	}
}

// The row of a service that was started and left alone is a few bytes, which lead to what the
// journal says; it is read back after a restart, and the frame goes with the last such row. One
// that has changed since is written out, and so is one whose group is small or large.
func TestRowsLeadToGroups(t *testing.T) {
	random := newRandom(t)
	fs, m := vfs.NewCrashableMem(), make(model)
	o := testOptions(fs)
	o.inSegment = 4
	s := openStore(t, o)
	const each = 12
	residents := map[conversation.Owner]*resident{}
	for n := range each {
		for kind, bytes := range []int{packFrom - 100, packFrom, frameBytes, frameBytes / 2} {
			owner := conversation.Owner{Key: fmt.Sprint(kind, " ", n)}
			r := wake(t, s, owner)
			residents[owner] = r
			m.apply(owner, r.decide(t, &conversation.ServiceStart{CustomerID: owner.Key, Details: noise(random, bytes)}))
			if kind == 3 {
				id := r.domain.Services()[0].ID
				m.apply(owner, r.decide(t, &conversation.TaskStart{Service: id}))
			}
			r.writeRows()
		}
	}
	syncAll(t, s)
	leads := func() (n int) {
		for owner, r := range residents {
			for _, svc := range r.domain.Services() {
				if svc.Completed != nil {
					continue
				}
				value, closer, err := s.db.Get(serviceKey(owner, activePhase, svc.ID))
				if err != nil {
					t.Fatal(err)
				}
				if lead := value[1] == leadRow; lead != (svc.Frame != 0) {
					t.Fatalf("%v: codec %d, and in memory %+v", owner, value[1], svc.Stored)
				} else if lead {
					n++
					if owner.Key[0] != '1' {
						t.Errorf("the row of %v leads to a group", owner)
					}
					if len(value) > 16 {
						t.Errorf("a row that leads to a group has %d bytes", len(value))
					}
				}
				if err := closer.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		return n
	}
	if n := leads(); n != each {
		t.Errorf("%d rows lead to groups, %d should", n, each)
	}
	checkSegments(t, s)
	clone := fs.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	o.FS = clone
	s = openStore(t, o)
	checkSegments(t, s)
	residents = m.check(t, s)
	for owner, r := range residents { // each in another way
		r.writeRows()
		if owner.Key[0] != '1' {
			continue
		}
		id := r.domain.Services()[0].ID
		var records []conversation.Record
		switch owner.Key[len(owner.Key)-1] % 4 {
		case 0:
			records = r.decide(t, &conversation.ServiceEnd{Service: id})
		case 1:
			records = r.decide(t, &conversation.ServiceDeletion{Service: id})
		case 2:
			records = r.decide(t, &conversation.TaskStart{Service: id})
		}
		m.apply(owner, records)
		r.writeOut(id)
	}
	syncAll(t, s)
	s.WriteRows(nil, nil) // the mark moves behind what was on disk before
	syncAll(t, s)
	checkSegments(t, s)
	if n := leads(); n != 0 {
		t.Errorf("%d rows still lead to groups", n)
	}
	if left := framesOnDisk(t, s); len(left) > 0 {
		t.Errorf("frames that end with %v are left", left)
	}
	closeStore(t, s)
	s = openStore(t, o)
	m.check(t, s)
	closeStore(t, s)
}

// A row that leads nowhere is an error that says so, whether its frame is missing or has another
// group there.
func TestLeadsNowhere(t *testing.T) {
	s := openStore(t, testOptions(vfs.NewMem()))
	r := wake(t, s, alice)
	id := r.start(t, noise(newRandom(t), packFrom))
	r.writeRows()
	syncAll(t, s)
	right := groupRef{frame: 1, at: 0, bytes: int(r.domain.Services()[0].FrameBytes)}
	for _, test := range []struct {
		ref  groupRef
		want string
	}{
		{groupRef{frame: 2, bytes: right.bytes}, "the frame is not there"},
		{groupRef{frame: 1, at: 1, bytes: right.bytes}, "no such group"},
		{groupRef{frame: 1, at: 1 << 40, bytes: right.bytes}, "no such group"},
		{groupRef{frame: 1, at: -1, bytes: right.bytes}, "no such group"},
		{groupRef{frame: 1, bytes: right.bytes - 1}, "no such group"},
		{right, ""},
	} {
		if err := s.db.Set(serviceKey(alice, activePhase, id), encodeLead(test.ref, r.watermark), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		c := conversation.Customer{Owner: alice}
		if _, _, err := s.Load(&c, nil); test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, should say %q", test.ref, err, test.want)
		}
	}
	closeStore(t, s)
}
