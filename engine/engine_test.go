package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
)

// open gives an engine on a file system in memory, closed with the test.
func open(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.FS == nil && o.Dir == "" {
		o.FS, o.Dir = vfs.NewMem(), "data"
	}
	o.Logf = t.Logf
	o.Fatal = func(err error) { panic(err) }
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func triple(customer, service, state, task string) Composite {
	return Composite{
		Service: ServiceStart{CustomerID: customer, Type: String(service)},
		State:   StateStart{Type: String(state)},
		Task:    TaskStart{Type: String(task)}, HasTask: true, Associate: true,
	}
}

func start(t testing.TB, e *Engine, items ...Composite) []Outcome {
	t.Helper()
	out, err := e.CompositeStart(context.Background(), items, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Of fifty identical requests at once for a new customer one creates, the others find, and
// all are told the same ids; for many customers over.
func TestIdenticalRequestsCreateOnce(t *testing.T) {
	e := open(t, Options{})
	for customer := range 200 {
		var created [3]atomic.Int32
		var seen sync.Map
		var wg sync.WaitGroup
		gate := make(chan struct{})
		for range 50 {
			wg.Go(func() {
				<-gate
				out, err := e.CompositeStart(context.Background(), []Composite{triple(fmt.Sprint(customer), "S", "A", "T")}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				for i, c := range []bool{out[0].ServiceCreated, out[0].StateCreated, out[0].TaskCreated} {
					if c {
						created[i].Add(1)
					}
				}
				seen.Store([3]int64{int64(out[0].Service), int64(out[0].State), int64(out[0].Task)}, true)
			})
		}
		close(gate)
		wg.Wait()
		sets := 0
		seen.Range(func(any, any) bool { sets++; return true })
		for i := range created {
			if n := created[i].Load(); n != 1 {
				t.Fatalf("customer %d: %d created part %d", customer, n, i)
			}
		}
		if sets != 1 {
			t.Fatalf("customer %d: %d sets of ids", customer, sets)
		}
	}
}

// Items of one request take effect in order: each finds what those before it created, also
// where customers alternate.
func TestItemsSeeEarlierItems(t *testing.T) {
	e := open(t, Options{})
	out := start(t, e, triple("a", "S", "A", "T"), triple("b", "S", "A", "T"), triple("a", "S", "B", "T"), triple("a", "S", "A", "U"))
	a, again, third := out[0], out[2], out[3]
	if !a.ServiceCreated || again.ServiceCreated || again.Service != a.Service || !again.StateCreated || again.TaskCreated || again.Task != a.Task {
		t.Errorf("third item %+v after first %+v", again, a)
	}
	if third.StateCreated || third.State != a.State || !third.TaskCreated {
		t.Errorf("fourth item %+v after first %+v", third, a)
	}
	if out[1].Service == a.Service {
		t.Errorf("two customers share service %d", a.Service)
	}
}

// A wrong item anywhere refuses the whole request with its place, and nothing of it is kept.
func TestRefusedRequestKeepsNothing(t *testing.T) {
	e := open(t, Options{})
	wrong := triple("b", "S", "A", "T")
	wrong.Service.Type = Value{}
	_, err := e.CompositeStart(context.Background(), []Composite{triple("a", "S", "A", "T"), wrong}, nil)
	var refusal *Error
	if !errors.Is(err, ErrInvalid) || !errors.As(err, &refusal) || refusal.Place != "services[1].service.service_type" {
		t.Errorf("got %v", err)
	}
	// What only the stored service shows to be wrong refuses its item; those before it stand.
	stray := triple("c", "S", "A", "T")
	stray.Associate, stray.Task.State.Number, stray.Task.State.Set = false, 7, true
	_, err = e.CompositeStart(context.Background(), []Composite{triple("d", "S", "A", "T"), stray}, nil)
	if !errors.As(err, &refusal) || refusal.Place != "services[1].task.state_id" {
		t.Errorf("got %v", err)
	}
	for customer, want := range map[string]int{"a": 0, "b": 0, "c": 0, "d": 1} {
		if got, err := e.CustomerServices(context.Background(), customer, AnyPhase); err != nil || len(got) != want {
			t.Errorf("customer %s has %d services, want %d (%v)", customer, len(got), want, err)
		}
	}
}

// A service lives as the contract says: started, with states and tasks, ended, then read as
// completed and found no more; and so after a restart.
func TestLifeOfAService(t *testing.T) {
	fs := vfs.NewMem()
	e := open(t, Options{FS: fs, Dir: "data"})
	ctx := context.Background()
	details, err := Attributes{InteractionID: "i-1", Extensions: map[string]json.RawMessage{"Story": json.RawMessage(`{"a": 1.10}`)}}.Details()
	if err != nil {
		t.Fatal(err)
	}
	id, err := e.StartService(ctx, &ServiceStart{CustomerID: "c", ContactKey: "k", Type: Integer(5), Details: details})
	if err != nil {
		t.Fatal(err)
	}
	state, err := e.StartState(ctx, &StateStart{Service: id, Type: String("A")})
	if err != nil {
		t.Fatal(err)
	}
	task, err := e.StartTask(ctx, &TaskStart{Service: id, Type: String("T")})
	if err != nil || task == state {
		t.Fatal(task, err)
	}
	for range 2 { // the second time changes nothing
		if err := errors.Join(e.EndState(ctx, &StateEnd{Service: id, ID: state}), e.EndService(ctx, &ServiceEnd{Service: id})); err != nil {
			t.Fatal(err)
		}
	}
	late, err := e.StartTask(ctx, &TaskStart{Service: id, Type: String("Late")})
	if err != nil {
		t.Fatal(err)
	}
	for restart := range 3 {
		s, err := e.Service(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if s.Completed == nil || s.State(int64(state)).Completed == nil || s.Task(int64(task)).Completed == nil || s.Task(int64(late)).Completed != nil {
			t.Errorf("after %d restarts: %+v", restart, s)
		}
		if got := string(Extension(s.Details, "Story")); got != `{"a":1.10}` {
			t.Errorf("after %d restarts the extension is %s", restart, got)
		}
		for phase, want := range map[Phase]int{AnyPhase: 1, Active: 0, Completed: 1} {
			if got, err := e.CustomerServices(ctx, "c", phase); err != nil || len(got) != want {
				t.Errorf("after %d restarts phase %d has %d services (%v)", restart, phase, len(got), err)
			}
		}
		if err := e.EndTask(ctx, &TaskEnd{Service: id, ID: 99}); !errors.Is(err, ErrNotFound) {
			t.Errorf("ending a task that does not exist: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = open(t, Options{FS: fs, Dir: "data"})
	}
	if out := start(t, e, triple("c", "5", "A", "T")); !out[0].ServiceCreated || out[0].Service == id {
		t.Errorf("a completed service was found: %+v", out[0])
	}
	if _, err := e.Service(ctx, id+1<<12); !errors.Is(err, ErrNotFound) {
		t.Errorf("a service that never was: %v", err)
	}
}

// Customers fall asleep and wake under load, in a memory that holds nearly none of them, and
// nothing of them is lost: every find tells the ids of the create.
func TestSleepingAndWakingLosesNothing(t *testing.T) {
	e := open(t, Options{awake: 20 * 1500, TailBytes: 1 << 20})
	const customers, callers, rounds = 500, 16, 40
	var first [customers]atomic.Int64
	var slept atomic.Int64
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range rounds * customers / callers {
				n := (i*7 + caller*31) % customers
				out, err := e.CompositeStart(context.Background(), []Composite{triple(fmt.Sprint(n), "S", "A", fmt.Sprint("T", i%3))}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if !first[n].CompareAndSwap(0, int64(out[0].Service)) && first[n].Load() != int64(out[0].Service) {
					t.Errorf("customer %d: service %d, then %d", n, first[n].Load(), out[0].Service)
				}
				if awake, _ := e.Awake(); awake < customers/2 {
					slept.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if slept.Load() == 0 {
		t.Error("nobody fell asleep: the test showed nothing")
	}
}

// A caller that gives up before its answer is safe is told that the outcome is unknown; one
// that never got in, that nothing was done.
func TestGivingUp(t *testing.T) {
	e := open(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := e.CompositeStart(ctx, []Composite{triple("a", "S", "A", "T")}, nil)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// Whatever it was told, asking again finds or creates the one service.
	a := start(t, e, triple("a", "S", "A", "T"))
	b := start(t, e, triple("a", "S", "A", "T"))
	if a[0].Service != b[0].Service || b[0].ServiceCreated {
		t.Errorf("%+v, then %+v", a[0], b[0])
	}
}

// Past the bounds on requests in flight a request is refused at once, and taken again later;
// one that is alone is never too large.
func TestOverload(t *testing.T) {
	e := open(t, Options{MaxRequests: 8, MaxRequestBytes: 10})
	big := triple("a", "S", "A", "T")
	big.Service.Details, _ = Attributes{InteractionID: "more than ten bytes"}.Details()
	start(t, e, big)
	for _, others := range []struct{ requests, bytes int64 }{{8, 0}, {1, 1}} {
		e.requests.Add(others.requests) // as if they were waiting
		e.bytes.Add(others.bytes)
		if _, err := e.CompositeStart(context.Background(), []Composite{big}, nil); !errors.Is(err, ErrOverloaded) {
			t.Errorf("beside %+v: %v", others, err)
		}
		e.requests.Add(-others.requests)
		e.bytes.Add(-others.bytes)
	}
	start(t, e, big)
}

// A service holds so many bytes and no more: past the bound a start is refused and nothing of
// it is kept.
func TestServiceBytes(t *testing.T) {
	e := open(t, Options{Bounds: Bounds{ServiceBytes: 1000}})
	ctx := context.Background()
	details, _ := Attributes{InteractionID: fmt.Sprintf("%0300d", 1)}.Details()
	id, err := e.StartService(ctx, &ServiceStart{CustomerID: "c", Type: String("S"), Details: details})
	if err != nil {
		t.Fatal(err)
	}
	states := 0
	for ; err == nil; states++ {
		_, err = e.StartState(ctx, &StateStart{Service: id, Details: details})
	}
	s, readErr := e.Service(ctx, id)
	if !errors.Is(err, ErrInvalid) || states != 3 || readErr != nil || len(s.States) != 2 {
		t.Errorf("start %d was refused: %v; the service has %d states (%v)", states, err, len(s.States), readErr)
	}
}

// A closed engine says so to every operation.
func TestClosed(t *testing.T) {
	e := open(t, Options{})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, composite := e.CompositeStart(ctx, []Composite{triple("a", "S", "A", "T")}, nil)
	_, service := e.Service(ctx, 4097)
	_, services := e.CustomerServices(ctx, "a", AnyPhase)
	end := e.EndService(ctx, &ServiceEnd{Service: 4097})
	for i, err := range []error{composite, service, services, end} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// One who starts and ends services without a pause holds few of the completed ones in memory,
// and all of them can be read.
func TestCompletedLeaveMemory(t *testing.T) {
	e := open(t, Options{})
	ctx := context.Background()
	const services = 1000
	for range services {
		out := start(t, e, triple("c", "S", "A", "T"))
		if err := e.EndService(ctx, &ServiceEnd{Service: out[0].Service}); err != nil {
			t.Fatal(err)
		}
	}
	if _, bytes := e.Awake(); bytes > 200*2000 {
		t.Errorf("the customer is counted as %d bytes", bytes)
	}
	if got, err := e.CustomerServices(ctx, "c", Completed); err != nil || len(got) != services {
		t.Errorf("%d completed services can be read (%v)", len(got), err)
	}
}

// Close may be called again, refuses what comes after it, and leaves no goroutine behind.
func TestClose(t *testing.T) {
	before := goleak.IgnoreCurrent()
	e := open(t, Options{Dir: t.TempDir()})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := e.CompositeStart(context.Background(), []Composite{triple(fmt.Sprint(n, i), "S", "A", "T")}, nil)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	start(t, e, triple("one", "S", "A", "T")) // the others are under way by now
	for range 3 {
		wg.Go(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	goleak.VerifyNone(t, before)
}

// Two engines in one process share nothing, and a folder has one at a time.
func TestFolderIsHeldByOne(t *testing.T) {
	dir := t.TempDir()
	e := open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); err == nil {
		t.Error("a second engine opened the folder")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Options{Dir: dir})
}

// Instants keep milliseconds and sort as time does; the zero time is absent.
func TestInstant(t *testing.T) {
	at := time.Date(2016, 5, 18, 15, 23, 34, 447_999_999, time.UTC)
	if got := Time(At(at)); !got.Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("got %v", got)
	}
	if At(time.Time{}) != 0 || !Time(0).IsZero() || At(time.Unix(0, 0)) == 0 {
		t.Error("zero is not absent, or 1970 is")
	}
}
