package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// complete gives a customer so many completed services, which are then in rows alone.
func complete(t testing.TB, fs vfs.FS, customer string, services int) {
	t.Helper()
	ctx := context.Background()
	e, err := Open(Options{FS: fs, Dir: "data", Fatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	const together = 1000
	for done := 0; done < services; done += together {
		items := make([]Composite, min(together, services-done))
		for i := range items {
			items[i] = triple(customer, fmt.Sprint("type ", done+i), "offer", "call")
		}
		for _, o := range start(t, e, items...) {
			if err := e.EndService(ctx, &ServiceEnd{Service: o.Service}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// A customer with ten thousand completed services wakes without them: a composite start reads
// and holds only what is active. All of them are found when they are asked for, in the order in
// which they started, and states and tasks can still be started under each.
func TestTenThousandCompleted(t *testing.T) {
	const services = 10_000
	ctx, fs := context.Background(), vfs.NewMem()
	complete(t, fs, "alice", services)
	e := open(t, Options{FS: fs, Dir: "data"})
	start(t, e, triple("alice", "card", "offer", "call"))
	if customers, bytes := e.Awake(); customers != 1 || bytes > 2_000 {
		t.Errorf("%d customers are awake with %d bytes; one with one service should be", customers, bytes)
	}
	all, err := e.CustomerServices(ctx, "alice", Completed)
	if err != nil || len(all) != services {
		t.Fatalf("%d services, %v", len(all), err)
	}
	for i := range all[1:] {
		if a, b := all[i], all[i+1]; a.Started > b.Started || a.Started == b.Started && a.ID >= b.ID {
			t.Fatalf("service %d stands before %d", a.ID, b.ID)
		}
	}
	late := all[services/2].ID
	state, err := e.StartState(ctx, &StateStart{Service: late, Type: String("late")})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := e.Service(ctx, late); err != nil || s.State(int64(state)) == nil || s.State(int64(state)).Completed != nil {
		t.Errorf("a late state is read as %+v, %v", s, err)
	}
	if out := start(t, e, triple("alice", "type 0", "offer", "call")); !out[0].ServiceCreated {
		t.Error("a completed service was found")
	}
}

// A composite start of a customer without completed services, beside one with ten thousand:
// found, and creating a service anew each time.
func BenchmarkBesideCompleted(b *testing.B) {
	for _, services := range []int{0, 10_000} {
		fs := vfs.NewMem()
		complete(b, fs, "alice", services)
		e := open(b, Options{FS: fs, Dir: "data"})
		start(b, e, triple("alice", "card", "offer", "call"))
		b.Run(fmt.Sprintf("found/completed=%d", services), func(b *testing.B) {
			for b.Loop() {
				start(b, e, triple("alice", "card", "offer", "call"))
			}
		})
		b.Run(fmt.Sprintf("created/completed=%d", services), func(b *testing.B) {
			for b.Loop() {
				out := start(b, e, triple("alice", "loan", "offer", "call"))
				if err := e.EndService(context.Background(), &ServiceEnd{Service: out[0].Service}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
