package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// ledger is what the racers were told, and holds the engine against it.
type ledger struct {
	t     *testing.T
	fixed ServiceID   // never moves
	own   []ServiceID // of each racer: nobody else moves it

	mu       sync.Mutex // guards what follows
	services map[ServiceID]*entry
	ids      []ServiceID // those that are not being deleted
	counts   map[string]int
	answers  int
	more     *sync.Cond // with mu: one more answer
}

// entry is what somebody was told of a service.
type entry struct {
	parts     []int32          // grows at its end alone, so that a copy of entry keeps what it had
	counters  map[string]int64 // what racers count in extensions, as answered; never changed in place
	attempted map[string]int64 // the same, as sent
	deleting  bool             // sent
	deleted   bool             // answered

	// Of a service that one racer moves or nobody: where it was sent, which grows at its end
	// alone, and at which of these it has arrived for sure.
	went []string
	at   int
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{t: t, services: map[ServiceID]*entry{}, counts: map[string]int{}}
	l.more = sync.NewCond(&l.mu)
	return l
}

// told notes a service and parts of it.
func (l *ledger) told(id ServiceID, parts ...int32) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.services[id]
	if k == nil {
		k = &entry{attempted: map[string]int64{}}
		l.services[id] = k
		l.ids = append(l.ids, id)
	}
	for _, n := range parts {
		if !slices.Contains(k.parts, n) {
			k.parts = append(k.parts, n)
		}
	}
	return k
}

// known is what had been answered at this moment.
func (l *ledger) known() map[ServiceID]*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := make(map[ServiceID]*entry, len(l.services))
	for id, k := range l.services {
		c := *k
		known[id] = &c
	}
	return known
}

func (l *ledger) any(rng *rand.Rand) ServiceID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[rng.IntN(len(l.ids))]
}

func (l *ledger) few() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids) < 3*racers
}

func (l *ledger) isOwn(id ServiceID) bool { return slices.Contains(l.own, id) }

func (l *ledger) answered(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers++
	l.counts[what]++
	l.more.Signal()
}

// await returns after so many further answers, so that a cut comes at any moment.
func (l *ledger) await(answers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for until := l.answers + answers; l.answers < until && !l.t.Failed(); {
		l.more.Wait()
	}
}

// expect takes an answer: no error, but where the service is being deleted.
func (l *ledger) expect(err error, id ServiceID, what string) bool {
	l.mu.Lock()
	deleting := l.services[id].deleting
	l.mu.Unlock()
	if errors.Is(err, ErrNotFound) && deleting {
		what = "not found"
	} else if err != nil {
		l.t.Errorf("%s %d: %v", what, id, err)
	}
	l.answered(what)
	return err == nil
}

// departs notes that a racer sends its service to a customer, and gives the number that an
// extension may carry there: 0 where it is that customer's, for then nothing is to change.
func (l *ledger) departs(id ServiceID, to, name string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.services[id]
	was := k.went[len(k.went)-1]
	k.went = append(k.went, to)
	if was == to {
		return 0
	}
	k.attempted[name]++
	return k.attempted[name]
}

func (l *ledger) arrives(id ServiceID, name string, value int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.services[id]
	k.at = len(k.went) - 1
	if value > 0 {
		k.count(name, value)
	}
}

func (l *ledger) next(id ServiceID, name string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.services[id]
	k.attempted[name]++
	return k.attempted[name]
}

func (l *ledger) counted(id ServiceID, name string, value int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.services[id].count(name, value)
}

func (k *entry) count(name string, value int64) {
	counters := maps.Clone(k.counters)
	if counters == nil {
		counters = map[string]int64{}
	}
	counters[name] = value
	k.counters = counters
}

func (l *ledger) deletes(id ServiceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.services[id].deleting = true
	l.ids = slices.DeleteFunc(l.ids, func(other ServiceID) bool { return other == id })
}

func (l *ledger) deleted(id ServiceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.services[id].deleted = true
}

// check holds a service that was read against what was known before.
func (l *ledger) check(k *entry, s *Service) {
	l.t.Helper()
	for _, n := range k.parts {
		if s.State(int64(n)) == nil && s.Task(int64(n)) == nil {
			l.t.Errorf("service %d: id %d was answered, and is not there", s.ID, n)
		}
	}
	for name, value := range k.counters {
		if got := counter(s, name); got < value {
			l.t.Errorf("service %d: extension %s was set to %d, and is %d", s.ID, name, value, got)
		}
	}
	if k.deleted {
		l.t.Errorf("service %d was deleted, and is there", s.ID)
	}
	l.checkOwner(k, s.ID, s.CustomerID)
}

// checkOwner holds where a service is against where its one mover has sent it since k was known.
func (l *ledger) checkOwner(k *entry, id ServiceID, customer string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(k.went) == 0 {
		return
	}
	if may := l.services[id].went[k.at:]; !slices.Contains(may, customer) {
		l.t.Errorf("service %d is with %q, and was sent to %v", id, customer, may)
	}
}

// counter is the number in an extension, or in a member of one; 0 when there is none.
func counter(s *Service, name string) (value int64) {
	name, member, merged := strings.Cut(name, ".")
	text := Extension(s.Details, name)
	if !merged {
		value, _ = strconv.ParseInt(string(text), 10, 64)
		return value
	}
	var members map[string]int64
	_ = json.Unmarshal(text, &members)
	return members[member]
}

// checkAll holds everything against what is known, while nobody races: each service that was
// told of is there, with exactly one owner, and looks the same by its id and in the list.
func (l *ledger) checkAll(e *Engine) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), racePatience)
	defer cancel()
	listed := map[ServiceID]string{}
	take := func(owner string, services []*Service, err error) {
		if err != nil {
			l.t.Errorf("services of %q: %v", owner, err)
		}
		for _, s := range services {
			if other, twice := listed[s.ID]; twice {
				l.t.Errorf("service %d is listed for %q and for %q", s.ID, other, owner)
			}
			listed[s.ID] = owner
			byID, err := e.Service(ctx, s.ID)
			if err != nil {
				l.t.Errorf("service %d of %q is listed: %v", s.ID, owner, err)
			} else if a, b := seen(s).String(), seen(byID).String(); a != b {
				l.t.Errorf("in the list of %q: %s\nby id: %s", owner, a, b)
			}
			if s.CustomerID != owner && s.CustomerID != "" {
				l.t.Errorf("service %d of %q is listed for %q", s.ID, s.CustomerID, owner)
			}
		}
	}
	for _, customer := range raceCustomers {
		services, err := e.CustomerServices(ctx, customer, AnyPhase)
		take(customer, services, err)
	}
	for _, contact := range raceContacts {
		services, err := e.AnonymousServices(ctx, contact, AnyPhase)
		take("contact "+contact, services, err)
	}
	for id, k := range l.known() {
		s, err := e.Service(ctx, id)
		switch {
		case err == nil && listed[id] == "":
			l.t.Errorf("service %d of %q is in no list", id, s.CustomerID)
		case err == nil:
			l.check(k, s)
		case !errors.Is(err, ErrNotFound) || !k.deleting:
			l.t.Errorf("service %d, listed for %q: %v", id, listed[id], err)
		}
	}
}

// checkFinds: a composite start finds, of a customer's services, the one started last.
func (l *ledger) checkFinds(e *Engine) {
	l.t.Helper()
	for _, customer := range raceCustomers {
		services, err := e.CustomerServices(context.Background(), customer, Active)
		if err != nil || len(services) == 0 {
			continue
		}
		last := services[len(services)-1].ID // all are of one type
		if o := start(l.t, e, triple(customer, "S", "A", "T"))[0]; o.Service != last || o.ServiceCreated {
			l.t.Errorf("for %q %+v was found, the last one is %d", customer, o, last)
		} else {
			l.told(o.Service, o.State, o.Task)
		}
	}
}

// goBack forgets what was answered after a cut. Of what was sent by then, nobody knows
// whether it came before the cut.
func (l *ledger) goBack(answered, begun map[ServiceID]*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = nil
	for id, k := range answered {
		k.deleting, k.attempted, k.went = begun[id].deleting, begun[id].attempted, begun[id].went
		if !k.deleting {
			l.ids = append(l.ids, id)
		}
	}
	slices.Sort(l.ids)
	l.services = answered
}

// settle learns what nobody could know after a cut: where a service is, whether it was deleted.
func (l *ledger) settle(e *Engine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, k := range l.services {
		s, err := e.Service(context.Background(), id)
		switch {
		case err == nil && len(k.went) > 0:
			k.went, k.at = []string{s.CustomerID}, 0
		case errors.Is(err, ErrNotFound):
			k.deleted = true
		case err == nil && k.deleting && !k.deleted:
			k.deleting = false // it never was
			l.ids = append(l.ids, id)
		}
	}
}
