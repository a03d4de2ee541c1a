package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/persist"
)

// hand is a clock that a test moves.
type hand struct{ at atomic.Int64 }

func newHand() *hand {
	h := &hand{}
	h.at.Store(int64(At(time.Date(2026, 5, 18, 15, 23, 34, 0, time.UTC))))
	return h
}

func (h *hand) now() time.Time        { return Time(Instant(h.at.Load())) }
func (h *hand) move(by time.Duration) { h.at.Add(by.Milliseconds()) }

// sweepAll has done what is due, where nobody asks.
func sweepAll(t *testing.T, e *Engine) {
	t.Helper()
	for {
		followed, err := e.directory.Sweep(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if followed == 0 {
			return
		}
	}
}

// left counts what is on disk of services, due rows included.
func left(t *testing.T, e *Engine) (ids, due int) {
	t.Helper()
	for walk := e.store.NewScan(); ; {
		step, err := walk.Next(100)
		if err != nil {
			t.Fatal(err)
		}
		if len(step) == 0 {
			break
		}
		ids += len(step)
	}
	rows, err := e.store.Due(persist.Due{}, 1<<62, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return ids, len(rows)
}

// What is due while the server is down has happened when it is up again, at its due instant:
// from the journal's tail as from rows, and also where the sweeper never came by.
func TestDueWhileDown(t *testing.T) {
	ctx := context.Background()
	for _, crash := range []bool{false, true} {
		fs, clock := vfs.NewCrashableMem(), newHand()
		o := Options{FS: fs, Dir: "data", Now: clock.now}
		e := open(t, o)
		completes, err := e.StartService(ctx, &ServiceStart{CustomerID: "alice", Type: String("card"), AutoCompleteAfter: 60})
		if err != nil {
			t.Fatal(err)
		}
		expires, err := e.StartService(ctx, &ServiceStart{ContactKey: "555", Type: String("card"), TTL: 60})
		if err != nil {
			t.Fatal(err)
		}
		due := At(clock.now().Add(time.Minute))
		if crash { // nothing but the tail is there
			o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		clock.move(24 * time.Hour)
		e = open(t, o)
		out := start(t, e, triple("alice", "card", "offer", "call"))
		if !out[0].ServiceCreated {
			t.Error("an overdue service was found")
		}
		s, err := e.Service(ctx, completes)
		if err != nil || s.Completed == nil || s.Completed.At != due {
			t.Errorf("completed %+v, %v; due at %v", s, err, Time(due))
		}
		if _, err := e.Service(ctx, expires); !errors.Is(err, ErrNotFound) {
			t.Errorf("an expired service is read: %v", err)
		}
		if all, err := e.AnonymousServices(ctx, "555", AnyPhase); err != nil || len(all) > 0 {
			t.Errorf("an expired service is listed: %v, %v", all, err)
		}
	}
}

// Where nobody asks any more, the sweeper makes room: of services that expired nothing is left
// on disk, of those completed no due row. So it is also for those that were there before the
// server got its defaults, at the next start with them.
func TestSweep(t *testing.T) {
	const services = 700 // more than a step
	ctx := context.Background()
	fs, clock := vfs.NewMem(), newHand()
	e := open(t, Options{FS: fs, Dir: "data", Now: clock.now})
	for n := range services {
		s := &ServiceStart{CustomerID: fmt.Sprint(n), Type: String("card")}
		switch n % 4 {
		case 0:
			s.TTL = int64(1 + n)
		case 1:
			s.AutoCompleteAfter = int64(1 + n)
		}
		if _, err := e.StartService(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func(o Options) {
		t.Helper()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		o.FS, o.Dir, o.Now = fs, "data", clock.now
		e = open(t, o)
	}
	check := func(ids, due int) {
		t.Helper()
		sweepAll(t, e)
		if err := e.store.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		if gotIDs, gotDue := left(t, e); gotIDs != ids || gotDue != due {
			t.Fatalf("%d services and %d due rows are left, not %d and %d", gotIDs, gotDue, ids, due)
		}
	}
	reopen(Options{}) // all rows are written
	check(services, services/2)
	clock.move(services * time.Second)
	check(services*3/4, 0)
	reopen(Options{ExpireAfter: time.Hour})
	check(services*3/4, services*3/4)
	reopen(Options{ExpireAfter: 2 * time.Hour}) // the hints of before are followed, and lead on
	clock.move(time.Hour)
	check(services*3/4, services*3/4)
	clock.move(time.Hour)
	check(0, 0)
}
