package engine

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "seed of the power cuts; 0 takes one from the clock")
	crashLives = flag.Int("crash.lives", 40, "how many times the power is cut")
)

// The power is cut again and again, at any moment, with any share of what was not synced
// kept. After each cut the engine opens on what is left, and
//   - everything that was answered is there: ids, states, tasks, ends, extensions, found ones
//     and reads included;
//   - of no message half is there: a service that a composite start made has its state and
//     its task;
//   - no id is given a second time.
//
// Rows are written, the journal is cut and customers sleep all the while.
func TestPowerCuts(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := vfs.NewCrashableMem()
	w := &witness{facts: map[ServiceID]*fact{}, byKey: map[string]ServiceID{}}
	w.more = sync.NewCond(&w.mu)
	lives := *crashLives
	if testing.Short() {
		lives /= 4
	}
	for life := range lives {
		fs = w.live(t, fs, rng, life)
		if t.Failed() {
			t.Fatalf("in life %d", life)
		}
	}
	t.Logf("%d services answered, %d ended", len(w.facts), w.ended)
}

// witness remembers what was answered.
type witness struct {
	mu    sync.Mutex // guards what follows
	facts map[ServiceID]*fact
	byKey map[string]ServiceID // the active service of each customer
	ended int

	answers int
	more    *sync.Cond // with mu: one more answer
}

// fact is what somebody was told of a service.
type fact struct {
	customer string
	parts    map[int32]string // the type of each state and task told of
	ended    bool
	unsure   bool // an end is under way: its outcome may be unknown
}

// known is what had been answered at this moment.
func (w *witness) known() map[ServiceID]fact {
	w.mu.Lock()
	defer w.mu.Unlock()
	facts := make(map[ServiceID]fact, len(w.facts))
	for id, f := range w.facts {
		c := *f
		c.parts = make(map[int32]string, len(f.parts))
		for n, typ := range f.parts {
			c.parts[n] = typ
		}
		facts[id] = c
	}
	return facts
}

func (w *witness) live(t *testing.T, fs *vfs.MemFS, rng *rand.Rand, life int) *vfs.MemFS {
	e, err := Open(Options{
		FS: fs, Dir: "data", TailBytes: 64 << 10, awake: 8 * 1500, ReserveBytes: -1,
		Logf: t.Logf, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(t, e)
	const callers = 6
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for caller := range callers {
		seed := rng.Uint64()
		running.Go(func() { w.call(t, ctx, e, rand.New(rand.NewPCG(seed, uint64(caller))), caller, life) })
	}
	running.Go(func() { // the keeper itself does it once a second
		for ctx.Err() == nil {
			if _, err := e.directory.Empty(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	w.await(1 + rng.IntN(400))
	cut := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rand.New(rand.NewPCG(rng.Uint64(), 2))}
	answered := w.known() // before the cut: each of these must be there
	after := fs.CrashClone(cut)
	for id, f := range w.known() { // an end that began meanwhile may or may not be there
		if a, known := answered[id]; known {
			a.unsure = f.unsure
			answered[id] = a
		}
	}
	stop()
	running.Wait()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	w.mu.Lock()
	w.forgetAllBut(answered)
	w.mu.Unlock()
	return after
}

// await returns after so many further answers, so that the cut comes at any moment.
func (w *witness) await(answers int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for until := w.answers + answers; w.answers < until; {
		w.more.Wait()
	}
}

// answered counts; w.mu is held.
func (w *witness) answered() {
	w.answers++
	w.more.Signal()
}

// forgetAllBut goes back to what was known at the cut: what was answered later never was.
func (w *witness) forgetAllBut(answered map[ServiceID]fact) {
	w.facts, w.byKey = map[ServiceID]*fact{}, map[string]ServiceID{}
	for id, f := range answered {
		w.facts[id] = &f
		if !f.ended && !f.unsure {
			w.byKey[f.customer] = max(w.byKey[f.customer], id)
		}
	}
}

// call sends random requests until ctx ends. A customer is one caller's, so that it knows
// what to expect; callers share the journal, the rows and the sleeper.
func (w *witness) call(t *testing.T, ctx context.Context, e *Engine, rng *rand.Rand, caller, life int) {
	for ctx.Err() == nil {
		customer := fmt.Sprintf("%d-%d-%d", caller, life, rng.IntN(10))
		if rng.IntN(3) == 0 {
			customer = w.oldCustomer(rng, caller, customer)
		}
		switch rng.IntN(10) {
		case 0:
			w.end(t, e, customer)
		case 1:
			w.read(t, e, customer)
		default:
			w.composite(t, e, customer, rng, life)
		}
	}
}

// oldCustomer gives one of this caller's, of any life.
func (w *witness) oldCustomer(rng *rand.Rand, caller int, otherwise string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for customer := range w.byKey {
		if strings.HasPrefix(customer, fmt.Sprintf("%d-", caller)) && rng.IntN(4) == 0 {
			return customer
		}
	}
	return otherwise
}

func (w *witness) composite(t *testing.T, e *Engine, customer string, rng *rand.Rand, life int) {
	item := triple(customer, "S", fmt.Sprint("A", rng.IntN(4)), fmt.Sprint("T", rng.IntN(4)))
	story := json.RawMessage(fmt.Sprintf(`{"life":%d,"of":%q,"pad":"%0*d"}`, life, customer, rng.IntN(600), rng.IntN(1000)))
	item.Service.Details, _ = Attributes{Extensions: map[string]json.RawMessage{"Story": story}}.Details()
	out, err := e.CompositeStart(context.Background(), []Composite{item}, nil)
	if err != nil {
		t.Error(err)
		return
	}
	o := out[0]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered()
	f := w.facts[o.Service]
	if f == nil {
		f = &fact{customer: customer, parts: map[int32]string{}}
		w.facts[o.Service] = f
	} else if o.ServiceCreated {
		t.Errorf("service id %d was given to %s and again to %s", o.Service, f.customer, customer)
	}
	if f.customer != customer {
		t.Errorf("service %d of %s was found for %s", o.Service, f.customer, customer)
	}
	for n, typ := range map[int32]string{o.State: item.State.Type.Text(), o.Task: item.Task.Type.Text()} {
		if was, known := f.parts[n]; known && was != typ {
			t.Errorf("service %d: id %d is %s and %s", o.Service, n, was, typ)
		}
		f.parts[n] = typ
	}
	w.byKey[customer] = o.Service
}

func (w *witness) end(t *testing.T, e *Engine, customer string) {
	w.mu.Lock()
	id := w.byKey[customer]
	f := w.facts[id]
	if f != nil {
		f.unsure = true
		delete(w.byKey, customer)
	}
	w.mu.Unlock()
	if f == nil {
		return
	}
	if err := e.EndService(context.Background(), &ServiceEnd{Service: id}); err != nil {
		t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f.ended = true
	w.ended++
	w.answered()
}

func (w *witness) read(t *testing.T, e *Engine, customer string) {
	services, err := e.CustomerServices(context.Background(), customer, AnyPhase)
	if err != nil {
		t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered()
	for _, s := range services { // being read is being told
		f := w.facts[s.ID]
		if f == nil {
			f = &fact{customer: customer, parts: map[int32]string{}}
			w.facts[s.ID] = f
		}
		f.ended = f.ended || s.Completed != nil
		for i := range s.States {
			f.parts[s.States[i].ID] = s.States[i].Type.Text()
		}
	}
}

// check holds what is there against what was answered.
func (w *witness) check(t *testing.T, e *Engine) {
	ctx := context.Background()
	customers := map[string]bool{}
	for id, f := range w.facts {
		customers[f.customer] = true
		s, err := e.Service(ctx, id)
		if err != nil {
			t.Errorf("service %d of %s was answered: %v", id, f.customer, err)
			continue
		}
		if s.CustomerID != f.customer || f.ended && s.Completed == nil || !f.ended && !f.unsure && s.Completed != nil {
			t.Errorf("service %d of %s (ended %v, unsure %v) is of %s, completed %v", id, f.customer, f.ended, f.unsure, s.CustomerID, s.Completed)
		}
		for n, typ := range f.parts {
			state, task := s.State(int64(n)), s.Task(int64(n))
			if state == nil && task == nil || state != nil && state.Type.Text() != typ || task != nil && task.Type.Text() != typ {
				t.Errorf("service %d: id %d was answered as %s: state %v, task %v", id, n, typ, state, task)
			}
		}
	}
	for customer := range customers {
		services, err := e.CustomerServices(ctx, customer, AnyPhase)
		if err != nil {
			t.Error(err)
		}
		for _, s := range services {
			w.checkWhole(t, s)
		}
	}
}

// checkWhole: whatever is there is there as whole messages.
func (w *witness) checkWhole(t *testing.T, s *Service) {
	if len(s.States) == 0 || len(s.Tasks) == 0 {
		t.Errorf("service %d has %d states and %d tasks: half of a message", s.ID, len(s.States), len(s.Tasks))
	}
	var story struct{ Of string }
	if err := json.Unmarshal(Extension(s.Details, "Story"), &story); err != nil || story.Of != s.CustomerID {
		t.Errorf("service %d of %s tells the story of %q (%v)", s.ID, s.CustomerID, story.Of, err)
	}
	for i := range s.Tasks {
		if s.State(int64(s.Tasks[i].State)) == nil {
			t.Errorf("service %d: task %d is of state %d, which is not there", s.ID, s.Tasks[i].ID, s.Tasks[i].State)
		}
	}
}

// A power cut while a folder is made for the first time leaves one that opens.
func TestPowerCutAtTheFirstStart(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	for range 20 {
		fs := vfs.NewCrashableMem()
		o := Options{FS: fs, Dir: "data", ReserveBytes: -1, Logf: t.Logf, Fatal: func(err error) { panic(err) }}
		e, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		o.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		again, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		start(t, again, triple("c", "S", "A", "T"))
		if err := errors.Join(again.Close(), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
