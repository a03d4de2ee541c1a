package persist

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// While the tail is at its bound whoever wants to append waits, as long as its context lets it,
// and goes on when rows have been written.
func TestRoomFor(t *testing.T) {
	random := newRandom(t)
	o := testOptions(vfs.NewMem())
	o.TailBytes = 64 << 10
	s := openStore(t, o)
	if err := s.RoomFor(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, second := wake(t, s, alice), wake(t, s, bob)
	for _, r := range []*resident{first, second} {
		r.start(t, noise(random, 40<<10))
		waitFor(t, s, r.watermark)
	}
	if !s.Pressed() {
		t.Error("the tail is past its bound, and not pressed")
	}
	select {
	case <-s.Pressure():
	default:
		t.Error("nobody is told to write rows")
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.RoomFor(over); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has given up gets %v", err)
	}

	done := make(chan error)
	for range 3 {
		go func() { done <- s.RoomFor(context.Background()) }()
	}
	for waiting := false; !waiting; runtime.Gosched() {
		s.mu.Lock()
		waiting = s.tail.room != nil
		s.mu.Unlock()
	}
	first.writeRows()
	syncAll(t, s)
	select {
	case err := <-done:
		t.Errorf("went on, %v, while half of the rows are missing", err)
	default:
	}
	second.writeRows()
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if s.Pressed() {
		t.Error("the tail is empty, and pressed")
	}
	if err := s.RoomFor(over); err != nil {
		t.Errorf("with room, nobody's context matters: %v", err)
	}
	closeStore(t, s)
}

// A tail that is at its bound when the store is opened is so from the start.
func TestRoomForAtOpening(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, testOptions(fs))
	wake(t, s, alice).start(t, noise(newRandom(t), 40<<10))
	closeStore(t, s)
	o := testOptions(fs)
	o.TailBytes = 16 << 10
	s = openStore(t, o)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.RoomFor(over); !errors.Is(err, context.Canceled) {
		t.Errorf("there is room: %v", err)
	}
	select {
	case <-s.Pressure():
	default:
		t.Error("nobody is told to write rows")
	}
	wake(t, s, alice).writeRows()
	if err := s.RoomFor(t.Context()); err != nil {
		t.Error(err)
	}
	closeStore(t, s)
}

// Those whose rows have waited longest are named first, each once, until they have handed
// them over; after opening it is the order of the journal again.
func TestOldest(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, testOptions(fs))
	owners := []conversation.Owner{carol, alice, bob}
	residents := make(map[conversation.Owner]*resident)
	for _, o := range owners {
		residents[o] = wake(t, s, o)
		residents[o].start(t, nil)
	}
	residents[carol].start(t, nil)
	if got := s.Oldest(); !slices.Equal(got, owners) {
		t.Errorf("%v wait, not %v", got, owners)
	}
	residents[alice].writeRows()
	if got := s.Oldest(); !slices.Equal(got, []conversation.Owner{carol, bob}) {
		t.Errorf("%v wait", got)
	}
	residents[carol].writeRows()
	residents[carol].start(t, nil)
	if got := s.Oldest(); !slices.Equal(got, []conversation.Owner{bob, carol}) {
		t.Errorf("%v wait", got)
	}
	closeStore(t, s)

	s = openStore(t, testOptions(fs))
	if got := s.Oldest(); !slices.Equal(got, owners) {
		t.Errorf("after opening %v wait, not %v", got, owners)
	}
	for _, o := range owners {
		wake(t, s, o).writeRows()
	}
	syncAll(t, s)
	if got := s.Oldest(); len(got) != 0 {
		t.Errorf("%v wait for rows that are all written", got)
	}
	closeStore(t, s)
}

// Those named are as many as the last frame brought, and a share beside, oldest first.
func TestOldestKeepsUp(t *testing.T) {
	s := openStore(t, testOptions(vfs.NewMem()))
	for i := range 1000 {
		wake(t, s, conversation.Owner{Key: strconv.Itoa(i)}).start(t, nil)
		if i == 799 {
			mustSync(t, s)
		}
	}
	mustSync(t, s)
	s.mu.Lock()
	want := s.tail.inLastCommit + rowShare
	s.mu.Unlock()
	if got := s.Oldest(); len(got) != min(want, 1000) || got[0].Key != "0" || want <= rowShare {
		t.Errorf("%d are named, the first is %v; it should be %d", len(got), got[0], want)
	}
	closeStore(t, s)
}

func mustSync(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Below the reserve of free space nothing is let in. While it is, the disk is looked at once a
// second, and with space again things go on.
func TestNoSpace(t *testing.T) {
	fs := vfs.NewMem()
	var clock atomic.Int64
	o := testOptions(fs)
	o.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	o.ReserveBytes = 1 << 30
	free := func(bytes uint64) { fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 40, AvailBytes: bytes}) }
	room := func(s *Store, want error) {
		t.Helper()
		if err := s.RoomFor(t.Context()); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("room: %v, should be %v", err, want)
		}
	}

	free(1<<30 - 1)
	s := openStore(t, o)
	room(s, ErrNoSpace) // from the start
	free(1 << 30)
	room(s, ErrNoSpace) // looked at a moment ago
	clock.Add(int64(spaceEvery) - 1)
	room(s, ErrNoSpace)
	clock.Add(1)
	room(s, nil)

	free(0) // it fills while nothing is written here: not noticed until enough is
	clock.Add(int64(time.Hour))
	room(s, nil)
	s.space.written.Store(spaceBytes - 1)
	r := wake(t, s, alice)
	r.start(t, nil)
	waitFor(t, s, r.watermark)
	syncAll(t, s)
	room(s, ErrNoSpace)
	clock.Add(-int64(time.Hour)) // a clock set back counts as time gone by
	free(1 << 40)
	room(s, nil)
	closeStore(t, s)
}

// Where free space cannot be asked for, or is not to be watched, everything is let in.
func TestSpaceNotWatched(t *testing.T) {
	for _, reserve := range []int64{-1, 1 << 30} {
		fs := vfs.NewMem()
		if reserve < 0 {
			fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1})
		}
		o := testOptions(fs)
		o.ReserveBytes = reserve
		s := openStore(t, o)
		if err := s.RoomFor(t.Context()); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
	}
}
