package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	modelSeed      = flag.Uint64("model.seed", 0, "seed of the random histories; 0 takes one from the clock")
	modelHistories = flag.Int("model.histories", 0, "how many random histories at the least; 0 takes few")
)

const (
	historySteps = 1200   // requests of one history
	historyCap   = 60_000 // requests, at which everything must have occurred
)

// On random histories the engine answers what the model answers, request by request, and
// stores what the model stores: with all operations, wrong requests, tenants, timers and
// bounds; while the clock steps, leaps and goes back, customers sleep, and the engine is closed
// or loses its power. It goes on until everything has occurred that it wants to see.
func TestHistories(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-model.seed=%d", seed)
	least, enough := *modelHistories, 5
	if least == 0 {
		least = 8
	}
	if testing.Short() {
		least, enough = 1, 1
	}
	counts := map[string]int{}
	for n := 0; n < least || len(missing(counts, enough)) > 0; n++ {
		if n*historySteps >= max(historyCap, least*historySteps) {
			t.Fatalf("too seldom: %v", missing(counts, enough))
		}
		h := newHistory(t, seed, uint64(n))
		h.run()
		for what, n := range h.m.counts {
			counts[what] += n
		}
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%7d %s", counts[what], what)
	}
}

// history is one engine and one model, asked the same.
type history struct {
	*world
	t      *testing.T
	ctx    context.Context
	fs     *vfs.MemFS
	opts   Options
	e      *Engine
	views  map[string]*Engine // of each tenant
	clock  atomic.Int64
	said   []func() string // what was asked and answered, the last ones
	quiet  bool            // nothing is said
	sleepy bool            // memory holds nobody
}

func newHistory(t *testing.T, seed, n uint64) *history {
	rng := rand.New(rand.NewPCG(seed, n))
	bounds := Bounds{Items: 3, KeyBytes: 12, ActiveServices: 3 + rng.IntN(8), Parts: 4 + rng.IntN(12), Extensions: 3, NameBytes: 12}
	h := &history{
		t: t, ctx: context.Background(), fs: vfs.NewCrashableMem(),
		world: &world{Rand: rng, m: newModel(bounds), tenants: []string{"", "t", "other"}},
	}
	h.setClock(At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
	h.opts = Options{Dir: "data", Bounds: bounds, Memory: MinMemory, ReserveBytes: -1, Now: func() time.Time { return Time(Instant(h.clock.Load())) }}
	h.opts.AutoCompleteAfter = pick(h.world, 0, 0, 20*time.Second, time.Hour)
	h.opts.ExpireAfter = pick(h.world, 0, 0, 20*time.Second, 3*time.Hour)
	h.m.autoCompleteAfter = h.opts.AutoCompleteAfter.Milliseconds()
	h.m.expireAfter = h.opts.ExpireAfter.Milliseconds()
	h.say(func() string { return fmt.Sprintf("-model.seed=%d, history %d, %+v", seed, n, h.opts) })
	return h
}

func (h *history) run() {
	h.openEngine()
	defer func() { _ = h.e.Close() }()
	for n := range historySteps {
		h.passTime()
		h.disturb()
		h.step()
		if n%60 == 0 {
			h.compareAll()
		}
	}
	h.reopen()
	h.compareAll()
}

// openEngine opens it on what is there, with more or less room for customers and the tail.
func (h *history) openEngine() {
	o := h.opts
	o.FS, o.Logf, o.Fatal = h.fs, h.t.Logf, func(err error) { panic(err) }
	o.awake = pick(h.world, int64(1), 4*1500, 0)
	h.sleepy = o.awake == 1
	o.TailBytes = pick(h.world, int64(16<<10), 64<<10, 0)
	e, err := Open(o)
	if err != nil {
		h.fatal("open: %v", err)
	}
	h.e, h.views = e, map[string]*Engine{"": e}
	for _, tenant := range h.tenants[1:] {
		h.views[tenant] = e.Tenant(tenant)
	}
}

func (h *history) setClock(now Instant) {
	h.m.now = now
	h.clock.Store(int64(now))
}

func (h *history) passTime() {
	by := 0
	switch n := h.IntN(1000); {
	case n < 3:
		by = 365 * 24 * 3600_000
	case n < 30:
		by = h.IntN(7200_000)
	case n < 130:
		by = h.IntN(20) * 1000
	case n < 160:
		h.jumpBack(h.m.now - Instant(1+h.IntN(pick(h.world, 10, 30_000, 7200_000))))
		return
	case n < 180:
		by = h.untilDue()
	case n < 500:
		by = h.IntN(20)
	}
	h.setClock(h.m.now + Instant(by))
}

// untilDue leads to the very millisecond at which something is due, or to the one before.
func (h *history) untilDue() int {
	if len(h.m.services) == 0 {
		return 0
	}
	s := pick(h.world, h.m.services...)
	wait := min(h.m.completesAt(s), h.m.expiresAt(s)) - h.m.now
	if wait <= 0 || wait > 2*3600_000 {
		return 0
	}
	return int(wait) - h.IntN(2)
}

// jumpBack sets the clock back. What was due until then has happened if anybody has come by
// since, and the contract does not say who does; so for each service that this is open for,
// the model goes by the engine.
func (h *history) jumpBack(to Instant) {
	h.m.letDue()
	h.setClock(to)
	h.say(func() string { return "clock back to " + showInstant(to) })
	h.m.count("clock back")
	for _, s := range slices.Concat(h.m.services, h.m.expired) {
		if s.before == nil || s.due <= to {
			continue
		}
		got, err := h.views[s.tenant].Service(h.ctx, s.id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			h.fatal("%v", err)
		}
		h.m.settle(s, got)
	}
}

// settle takes back what was due after now, where the engine has not noticed it.
func (m *model) settle(s *modelService, got *Service) {
	gone := slices.Contains(m.expired, s)
	was := s
	for was.before != nil && was.due > m.now {
		if got == nil && gone || got != nil && !gone && (got.Completed != nil) == (was.completed != nil) {
			break
		}
		was, gone = was.before, false
	}
	if was == s {
		s.before = nil // it has happened for good
		return
	}
	m.count("due, and not yet when the clock went back")
	m.expired = slices.DeleteFunc(m.expired, func(t *modelService) bool { return t == s })
	m.remove(s)
	m.services = append(m.services, was)
}

// disturb lets something happen that no answer may show.
func (h *history) disturb() {
	switch n := h.IntN(1000); {
	case n < 20:
		h.happens("rest", h.rest)
	case n < 40:
		h.happens("sweep", h.sweep)
	case n < 45:
		h.happens("reopen", h.reopen)
	case n < 50:
		h.happens("crash", h.crash)
	}
}

func (h *history) happens(what string, do func()) {
	h.say(func() string { return what })
	h.m.count(what)
	do()
}

// sweep lets happen what is due where nobody asks.
func (h *history) sweep() {
	followed, err := h.e.directory.Sweep(h.ctx)
	if err != nil {
		h.fatal("sweep: %v", err)
	}
	if followed > 0 {
		h.m.count("swept")
	}
	if _, err := h.e.directory.Empty(h.ctx); err != nil {
		h.fatal("empty: %v", err)
	}
}

// rest waits until all sleep, where memory holds nobody.
func (h *history) rest() {
	if !h.sleepy {
		return
	}
	for until := time.Now().Add(10 * time.Millisecond); time.Now().Before(until); time.Sleep(100 * time.Microsecond) {
		if awake, _ := h.e.Awake(); awake == 0 {
			h.m.count("all asleep")
			return
		}
	}
}

func (h *history) reopen() {
	if err := h.e.Close(); err != nil {
		h.fatal("close: %v", err)
	}
	h.openEngine()
}

// crash cuts the power, with any share of what was not synced kept.
func (h *history) crash() {
	cut := vfs.CrashCloneCfg{UnsyncedDataPercent: h.IntN(101), RNG: rand.New(rand.NewPCG(h.Uint64(), 2))}
	h.fs = h.fs.CrashClone(cut)
	h.reopen() // the engine that closes has the other file system
}

// say keeps what a failure is to show.
func (h *history) say(line func() string) {
	if len(h.said) == 60 {
		h.said = append([]func() string{h.said[0]}, h.said[31:]...) // the first names the seed
	}
	h.said = append(h.said, line)
}

func (h *history) fatal(format string, args ...any) {
	h.t.Helper()
	var lines []string
	for _, line := range h.said {
		lines = append(lines, line())
	}
	h.t.Fatalf("%s\n%s", strings.Join(lines, "\n"), fmt.Sprintf(format, args...))
}
