package persist

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// framesOnDisk are the last records of the frames that Pebble has, whatever the store believes.
func framesOnDisk(t *testing.T, s *Store) (lasts []uint64) {
	t.Helper()
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: frameKey(0), UpperBound: markKey})
	if err != nil {
		t.Fatal(err)
	}
	for valid := iter.First(); valid; valid = iter.Next() {
		h, _, err := readFrame(iter.Value(), nil)
		if err != nil {
			t.Fatal(err)
		}
		lasts = append(lasts, h.last)
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return lasts
}

// Once everybody's rows are written no frame is left, however short the journal was. Numbers
// and services go on where they were, through a crash too.
func TestTruncateAll(t *testing.T) {
	fs, m := vfs.NewCrashableMem(), make(model)
	s := openStore(t, testOptions(fs))
	first, second := wake(t, s, alice), wake(t, s, bob)
	for range 5 {
		for _, r := range []*resident{first, second} {
			m.apply(r.domain.Owner, r.decide(t, &conversation.ServiceStart{CustomerID: r.domain.Owner.Key, Type: conversation.String("card")}))
			waitFor(t, s, r.watermark)
		}
	}
	if n := len(framesOnDisk(t, s)); n != 10 {
		t.Fatalf("%d frames, ten were waited for one by one", n)
	}
	first.writeRows()
	syncAll(t, s)
	if n := len(framesOnDisk(t, s)); n != 10 {
		t.Fatalf("%d frames, the first one still waits for a row", n)
	}
	second.writeRows()
	syncAll(t, s)
	if left := framesOnDisk(t, s); len(left) != 0 {
		t.Fatalf("frames that end with %v are left", left)
	}
	for range 2 { // the second time the mark is the first thing that is read
		clone := fs.CrashClone(vfs.CrashCloneCfg{})
		closeStore(t, s)
		fs = clone
		s = openStore(t, testOptions(fs))
		r := m.check(t, s)[alice]
		before := s.next
		m.apply(alice, r.decide(t, &conversation.ServiceStart{CustomerID: "alice", Type: conversation.String("card")}))
		if r.watermark != before || before != 11 && before != 12 {
			t.Errorf("record %d follows record %d", r.watermark, before-1)
		}
		waitFor(t, s, r.watermark)
	}
	closeStore(t, s)
}

// While one customer's rows are missing, the frames before its first record are deleted once
// they are many bytes, and only those.
func TestTruncateBehindOne(t *testing.T) {
	random := newRandom(t)
	fs, m := vfs.NewMem(), make(model)
	s := openStore(t, testOptions(fs))
	early, late := wake(t, s, alice), wake(t, s, bob)
	start := func(r *resident, bytes int) {
		m.apply(r.domain.Owner, r.decide(t, &conversation.ServiceStart{CustomerID: r.domain.Owner.Key, Details: noise(random, bytes)}))
		waitFor(t, s, r.watermark)
	}
	for range 2 {
		start(early, 100)
	}
	start(late, 100) // record 3
	early.writeRows()
	syncAll(t, s)
	if left := framesOnDisk(t, s); !slices.Equal(left, []uint64{1, 2, 3}) {
		t.Fatalf("frames that end with %v are left: these are too few bytes to delete", left)
	}
	late.writeRows()
	syncAll(t, s)
	if left := framesOnDisk(t, s); len(left) != 0 {
		t.Fatalf("frames that end with %v are left", left)
	}

	for range 4 {
		start(early, truncateBytes/4) // records 4 to 7
	}
	start(late, 100) // 8
	start(early, 100)
	if left := framesOnDisk(t, s); len(left) != 6 {
		t.Fatalf("frames that end with %v are left, and no rows of theirs are written", left)
	}
	early.writeRows()
	syncAll(t, s)
	if left := framesOnDisk(t, s); !slices.Equal(left, []uint64{8, 9}) {
		t.Fatalf("frames that end with %v are left", left)
	}
	closeStore(t, s)
	s = openStore(t, testOptions(fs))
	if s.next != 10 {
		t.Errorf("the next record is %d", s.next)
	}
	m.check(t, s)
	closeStore(t, s)
}

// Rows that go into a later frame than the one being cut are not on disk with it: the frames
// that they stand for must outlive a crash between the two. The committing is done by hand.
func TestTruncateNotBeforeTheRows(t *testing.T) {
	fs, m := vfs.NewCrashableMem(), make(model)
	s := openStore(t, testOptions(fs))
	close(s.closed)
	s.done.Wait()
	c := committer{store: s, batch: s.db.NewBatch()}
	commit := func() {
		t.Helper()
		if !c.commit() {
			t.Fatal("there is no frame")
		}
	}
	first, second, third := wake(t, s, alice), wake(t, s, bob), wake(t, s, carol)
	start := func(r *resident, details conversation.Details) {
		m.apply(r.domain.Owner, r.decide(t, &conversation.ServiceStart{CustomerID: r.domain.Owner.Key, Details: details}))
	}
	start(first, nil)
	commit()
	start(second, noise(newRandom(t), commitBytes))       // fills the next group commit
	third.start(t, nil)                                   // and this opens the one after it
	for _, r := range []*resident{first, third, second} { // the large one last: what comes after it opens a frame
		r.writeRows()
	}
	commit()
	clone := fs.CrashClone(vfs.CrashCloneCfg{})
	commit()
	if left := framesOnDisk(t, s); len(left) != 1 {
		t.Errorf("frames that end with %v are left, only that of the rows should be", left)
	}
	if c.commit() {
		t.Error("there is one more frame")
	}
	if err := errors.Join(c.batch.Close(), s.db.Close(), s.lock.Close()); err != nil {
		t.Fatal(err)
	}
	s.cache.Unref()

	s = openStore(t, testOptions(clone))
	m.check(t, s)
	closeStore(t, s)
}

// A frame that is missing refuses to open and names the record: in the middle, at the beginning
// without a mark, and at the beginning after one. The folder is not held afterwards.
func TestMissingFrame(t *testing.T) {
	for _, test := range []struct {
		name    string
		marked  bool
		missing uint64
	}{
		{"in the middle", false, 3},
		{"the first of all", false, 1},
		{"in the middle, after a mark", true, 7},
		{"the first after a mark", true, 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := openStore(t, testOptions(fs))
			r := wake(t, s, alice)
			for n := range 10 {
				r.start(t, nil)
				waitFor(t, s, r.watermark)
				if n == 4 && test.marked {
					r.writeRows()
					syncAll(t, s)
				}
			}
			if err := s.db.Delete(frameKey(test.missing), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			for range 2 {
				s, err := Open(testOptions(fs))
				if err == nil {
					closeStore(t, s)
					t.Fatal("it opens")
				}
				if want := "no record " + string('0'+rune(test.missing)) + ":"; !strings.Contains(err.Error(), want) {
					t.Fatalf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// A frame, a mark, a row that is damaged is an error that says where, and no panic.
func TestDamage(t *testing.T) {
	newer := func(b []byte) []byte { b[0]++; return b }
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	for _, damage := range []func([]byte) []byte{newer, cut} {
		fs := vfs.NewMem()
		s := openStore(t, testOptions(fs))
		r := wake(t, s, alice)
		id := r.start(t, nil)
		waitFor(t, s, r.watermark)
		r.writeRows()
		syncAll(t, s)
		r.start(t, nil)
		waitFor(t, s, r.watermark)
		saved := make(map[string][]byte)
		spoil := func(key []byte) {
			value, closer, err := s.db.Get(key)
			if err != nil {
				t.Fatal(err)
			}
			saved[string(key)] = slices.Clone(value)
			if err := closer.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.db.Set(key, damage(slices.Clone(value)), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
		row := serviceKey(alice, activePhase, id)
		spoil(row)
		if _, _, err := s.Load(&conversation.Customer{Owner: alice}, nil); err == nil || !strings.Contains(err.Error(), "row of service") {
			t.Errorf("a damaged row loads: %v", err)
		}
		if err := s.db.Set(row, saved[string(row)], pebble.Sync); err != nil {
			t.Fatal(err)
		}
		spoil(indexKey(id))
		if o, _, err := s.OwnerOf(id); err == nil {
			t.Errorf("a damaged index row leads to %v", o)
		}
		for _, key := range [][]byte{frameKey(2), markKey} {
			spoil(key)
			closeStore(t, s)
			broken, err := Open(testOptions(fs))
			if err == nil {
				closeStore(t, broken)
				t.Fatalf("with key %x damaged it opens", key)
			}
			db, err := pebble.Open("data", (&Store{opts: testOptions(fs)}).pebbleOptions())
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Set(key, saved[string(key)], pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, testOptions(fs))
		}
		closeStore(t, s)
	}
}
