package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	racers       = 8
	racePatience = 30 * time.Second // for one answer, with the race detector on a slow machine
)

var raceCustomers = []string{"home", "a", "b", "c"}
var raceContacts = []string{"555", "556"}

// Services are moved back and forth between a few customers by many at once, in opposite
// directions too, while others start, find, read, extend and delete them. All the while an id
// leads to its service, with all that was answered before in it; a customer with a service
// that never moves never gets a second one; and a service with one mover is where that one
// was told it is. In the end, and after a restart, each is with exactly one owner.
func TestAssociationRaces(t *testing.T) {
	seed, rng := raceSeed(t)
	l := newLedger(t)
	fs := vfs.NewMem()
	rounds, steps := 4, 250
	if testing.Short() {
		rounds, steps = 2, 60
	}
	for round := range rounds {
		e := l.open(fs, rng)
		l.checkAll(e)
		l.prepare(e)
		l.race(context.Background(), e, rng, steps).Wait()
		l.checkAll(e)
		l.checkFinds(e)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d of -crash.seed=%d", round, seed)
		}
	}
	e := l.open(fs, rng)
	l.checkAll(e)
	_ = e.Close()
	t.Logf("%d services, %d answers, %v", len(l.services), l.answers, l.counts)
}

// The same with power cuts: what was answered before a cut is there after it, and each service
// is with exactly one owner, however far a move had come.
func TestAssociationPowerCuts(t *testing.T) {
	seed, rng := raceSeed(t)
	l := newLedger(t)
	fs := vfs.NewCrashableMem()
	lives := *crashLives
	if testing.Short() {
		lives /= 4
	}
	for life := range lives {
		e := l.open(fs, rng)
		l.checkAll(e)
		l.settle(e)
		l.prepare(e)
		ctx, stop := context.WithCancel(context.Background())
		racing := l.race(ctx, e, rng, 1<<30)
		l.await(1 + rng.IntN(600))
		cut := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rand.New(rand.NewPCG(rng.Uint64(), 2))}
		answered := l.known()
		fs = fs.CrashClone(cut)
		begun := l.known()
		stop()
		racing.Wait()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		l.goBack(answered, begun)
		if t.Failed() {
			t.Fatalf("in life %d of -crash.seed=%d", life, seed)
		}
	}
	t.Logf("%d services, %v", len(l.services), l.counts)
}

func raceSeed(t *testing.T) (uint64, *rand.Rand) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash.seed=%d", seed)
	return seed, rand.New(rand.NewPCG(seed, 4))
}

func (l *ledger) open(fs *vfs.MemFS, rng *rand.Rand) *Engine {
	awake := []int64{1, 4 * 1500, 1 << 30}[rng.IntN(3)] // nobody, some, all stay awake
	e, err := Open(Options{
		FS: fs, Dir: "data", TailBytes: 64 << 10, awake: awake, ReserveBytes: -1, Memory: MinMemory,
		Logf: l.t.Logf, Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return e
}

// prepare makes what the racers count on: the service that never moves, and one for each racer
// that nobody else moves.
func (l *ledger) prepare(e *Engine) {
	ctx := context.Background()
	if l.fixed == 0 {
		out := start(l.t, e, triple("home", "S", "A", "T"))
		l.fixed = out[0].Service
		l.told(l.fixed, out[0].State, out[0].Task).went = []string{"home"}
	}
	for n := len(l.own); n < racers; n++ {
		id, err := e.StartService(ctx, &ServiceStart{CustomerID: "a", Type: String("S")})
		if err != nil {
			l.t.Fatal(err)
		}
		l.own = append(l.own, id)
		l.told(id).went = []string{"a"}
	}
}

// race lets the racers go, until each has taken so many steps or ctx ends.
func (l *ledger) race(ctx context.Context, e *Engine, rng *rand.Rand, steps int) *sync.WaitGroup {
	var running sync.WaitGroup
	for n := range racers {
		r := &racer{ledger: l, Rand: rand.New(rand.NewPCG(rng.Uint64(), uint64(n))), e: e, n: n}
		running.Go(func() {
			for range steps {
				if ctx.Err() != nil || l.t.Failed() {
					l.answered("") // whoever awaits answers is not to wait for ever
					return
				}
				r.step()
			}
		})
	}
	return &running
}

// racer is one caller.
type racer struct {
	*rand.Rand
	*ledger
	e *Engine
	n int
}

func (r *racer) step() {
	ctx, cancel := context.WithTimeout(context.Background(), racePatience)
	defer cancel()
	switch n := r.IntN(100); {
	case n < 35:
		r.move(ctx)
	case n < 55:
		r.composite(ctx)
	case n < 70:
		r.read(ctx, r.any(r.Rand))
	case n < 75:
		r.list(ctx)
	case n < 85:
		r.add(ctx)
	case n < 98:
		r.extend(ctx)
	default:
		r.remove(ctx)
	}
}

// move sends a service to a customer: half the time its own, of which it knows where it is.
func (r *racer) move(ctx context.Context) {
	a := &ServiceAssociation{Service: r.any(r.Rand), CustomerID: raceCustomers[r.IntN(len(raceCustomers))]}
	if a.Service == r.fixed {
		return
	}
	name, value := fmt.Sprint("move", r.n), int64(0)
	if r.IntN(2) == 0 {
		a.Service = r.own[r.n]
		if value = r.departs(a.Service, a.CustomerID, name); value > 0 {
			a.Update.Details = Details(nil).AppendExtension([]byte(name), fmt.Append(nil, value))
		}
	} else if r.isOwn(a.Service) {
		return
	}
	err := r.e.Associate(ctx, a)
	if !r.expect(err, a.Service, "associate") {
		return
	}
	if a.Service == r.own[r.n] {
		r.arrives(a.Service, name, value)
	}
}

// composite starts for a customer or a contact key, and is told what it found or created.
func (r *racer) composite(ctx context.Context) {
	item := triple(raceCustomers[r.IntN(len(raceCustomers))], "S", fmt.Sprint("A", r.IntN(3)), fmt.Sprint("T", r.IntN(3)))
	if r.IntN(6) == 0 && r.few() {
		item.Service.CustomerID, item.Service.ContactKey = "", raceContacts[r.IntN(len(raceContacts))]
	}
	item.CreateNew = r.few() && r.IntN(10) == 0
	before := r.known()
	out, err := r.e.CompositeStart(ctx, []Composite{item}, nil)
	if err != nil {
		r.t.Errorf("composite start: %v", err)
		return
	}
	o := out[0]
	if k := before[o.Service]; k != nil && o.ServiceCreated {
		r.t.Errorf("service %d was created again", o.Service)
	} else if k != nil {
		r.checkOwner(k, o.Service, item.Service.CustomerID)
	}
	if o.ServiceCreated && !item.CreateNew && item.Service.CustomerID == "home" {
		r.t.Errorf("service %d was created where service %d is", o.Service, r.fixed)
	}
	r.told(o.Service, o.State, o.Task)
	r.answered("composite start")
}

func (r *racer) read(ctx context.Context, id ServiceID) {
	k := r.known()[id]
	s, err := r.e.Service(ctx, id)
	if r.expect(err, id, "read") {
		r.check(k, s)
	}
}

// list reads all of a customer, who has no service twice and none of somebody else.
func (r *racer) list(ctx context.Context) {
	customer := raceCustomers[r.IntN(len(raceCustomers))]
	before := r.known()
	services, err := r.e.CustomerServices(ctx, customer, AnyPhase)
	if err != nil {
		r.t.Errorf("services of %s: %v", customer, err)
	}
	seen := map[ServiceID]bool{}
	for _, s := range services {
		if seen[s.ID] || s.CustomerID != customer {
			r.t.Errorf("service %d of %q stands in the list of %q (twice: %v)", s.ID, s.CustomerID, customer, seen[s.ID])
		}
		seen[s.ID] = true
		if k := before[s.ID]; k != nil {
			r.check(k, s)
		}
	}
	if customer == "home" && !seen[r.fixed] {
		r.t.Errorf("service %d, which never moves, is not in its list", r.fixed)
	}
	r.answered("list")
}

func (r *racer) add(ctx context.Context) {
	id := r.any(r.Rand)
	var part int32
	var err error
	if r.IntN(2) == 0 {
		part, err = r.e.StartState(ctx, &StateStart{Service: id, Type: String("A0")})
	} else {
		part, err = r.e.StartTask(ctx, &TaskStart{Service: id, Type: String("T0")})
	}
	if r.expect(err, id, "add") {
		r.told(id, part)
	}
}

// extend counts up: in an extension of its own, or in its member of one that all merge into.
func (r *racer) extend(ctx context.Context) {
	id, name := r.any(r.Rand), fmt.Sprint("racer", r.n)
	x := &ExtensionChange{Service: id, Name: name}
	value := r.next(id, name)
	x.JSON = fmt.Append(nil, value)
	if r.IntN(2) == 0 {
		name = fmt.Sprint("all.", r.n)
		value = r.next(id, name)
		x.Name, x.Merge, x.JSON = "all", true, fmt.Appendf(nil, `{"%d":%d}`, r.n, value)
	}
	if r.expect(r.e.SetExtension(ctx, x), id, "extend") {
		r.counted(id, name, value)
	}
}

// remove deletes one that anybody may move.
func (r *racer) remove(ctx context.Context) {
	id := r.any(r.Rand)
	if id == r.fixed || r.isOwn(id) {
		return
	}
	r.deletes(id)
	if r.expect(r.e.DeleteService(ctx, id), id, "delete") {
		r.deleted(id)
	}
}
