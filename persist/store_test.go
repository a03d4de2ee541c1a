package persist

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

var (
	alice = conversation.Owner{Key: "alice"}
	bob   = conversation.Owner{Tenant: "north", Key: "bob"}
	carol = conversation.Owner{Key: "555", Anonymous: true}
)

// model is what there should be of each owner: every record that was appended, applied, and
// nothing ever forgotten.
type model map[conversation.Owner]*conversation.Customer

func (m model) apply(o conversation.Owner, records []conversation.Record) {
	c := m[o]
	if c == nil {
		c = &conversation.Customer{Owner: o}
		m[o] = c
	}
	for i := range records {
		c.Apply(&records[i])
	}
}

// check compares a store just opened with what there should be. The residents it woke come
// back, so that the history can go on.
func (m model) check(t *testing.T, s *Store) map[conversation.Owner]*resident {
	t.Helper()
	residents := make(map[conversation.Owner]*resident)
	for o, want := range m {
		r := wake(t, s, o)
		residents[o] = r
		for _, got := range r.domain.Services() {
			if w := want.Service(got.ID); w == nil || !sameService(got, w) {
				t.Fatalf("%v: service\n%+v\nis in memory, it should be\n%+v", o, got, w)
			}
		}
		completed := completedRows(t, s, o)
		for id := range r.domain.AllGone() {
			delete(completed, id)
		}
		for _, w := range want.Services() {
			got := r.domain.Service(w.ID)
			if got == nil && w.Completed != nil {
				got = completed[w.ID]
			}
			if got == nil || !sameService(got, w) {
				t.Fatalf("%v: service\n%+v\nshould be\n%+v", o, got, w)
			}
			if owner, found, err := s.OwnerOf(w.ID); err != nil || !found || owner != o {
				t.Fatalf("service %d of %v belongs to %v, %v, %v", w.ID, o, owner, found, err)
			}
		}
		for id := range completed {
			if w := want.Service(id); w == nil || w.Completed == nil {
				t.Fatalf("%v: service %d has a completed row, and should be %+v", o, id, w)
			}
			if active, _, err := s.service(o, activePhase, id); err != nil || active != nil {
				t.Fatalf("%v: service %d has two rows, %v", o, id, err)
			}
		}
	}
	return residents
}

func completedRows(t *testing.T, s *Store, o conversation.Owner) map[conversation.ServiceID]*conversation.Service {
	t.Helper()
	rows, err := s.Completed(o)
	if err != nil {
		t.Fatal(err)
	}
	services := make(map[conversation.ServiceID]*conversation.Service)
	for {
		svc, _, err := rows.Next()
		if err != nil {
			t.Fatal(err)
		}
		if svc == nil {
			break
		}
		services[svc.ID] = svc
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return services
}

// What was appended and waited for is there after closing and opening, from the journal alone
// and, once rows are written, from them, in Pebble's log and in its tables.
func TestReopen(t *testing.T) {
	fs, m := vfs.NewMem(), make(model)
	s := openStore(t, testOptions(fs))
	for _, o := range []conversation.Owner{alice, bob, carol} {
		r := wake(t, s, o)
		service := conversation.ServiceStart{CustomerID: o.Key, Type: conversation.Integer(5), ContactKey: "555"}
		for range 3 {
			m.apply(o, r.decide(t, &conversation.Composite{Service: service, HasTask: true, CreateNew: true}))
		}
		m.apply(o, r.decide(t, &conversation.ServiceEnd{Service: r.domain.Services()[1].ID}))
		waitFor(t, s, r.watermark)
		if owner, found, err := s.OwnerOf(r.domain.Services()[0].ID); err != nil || !found || owner != o {
			t.Errorf("a service of %v without rows belongs to %v, %v, %v", o, owner, found, err)
		}
	}
	closeStore(t, s)

	s = openStore(t, testOptions(fs))
	for _, r := range m.check(t, s) {
		if n := len(r.domain.Services()); n != 3 {
			t.Errorf("%v: %d services from the tail", r.domain.Owner, n)
		}
		r.writeRows()
	}
	syncAll(t, s)
	closeStore(t, s)

	s = openStore(t, testOptions(fs))
	for _, r := range m.check(t, s) {
		if n := len(r.domain.Services()); n != 2 {
			t.Errorf("%v: %d services from the active rows", r.domain.Owner, n)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	m.check(t, s)
	closeStore(t, s)

	s = openStore(t, testOptions(fs))
	m.check(t, s)
	if r := wake(t, s, conversation.Owner{Key: "dave"}); len(r.domain.Services()) != 0 || r.unwritten != nil {
		t.Errorf("one never seen has %+v", r)
	}
	for _, id := range []conversation.ServiceID{-1, 0, 4711, maxServiceID, maxServiceID + 1} {
		if o, found, err := s.OwnerOf(id); found || err != nil {
			t.Errorf("service %d belongs to %v, %v", id, o, err)
		}
	}
	closeStore(t, s)
}

// The row of a completed service is written while its records are still in the tail. After
// opening it is completed and stays so: no record of the tail starts it again.
func TestEndedStaysEnded(t *testing.T) {
	fs, m := vfs.NewMem(), make(model)
	s := openStore(t, testOptions(fs))
	holder := wake(t, s, bob) // its rows are never written, so that no frame is deleted
	m.apply(bob, holder.decide(t, &conversation.ServiceStart{CustomerID: "bob", Type: conversation.String("card")}))
	r := wake(t, s, alice)
	start := func() conversation.ServiceID {
		records := r.decide(t, &conversation.ServiceStart{CustomerID: "alice", Type: conversation.String("card")})
		m.apply(alice, records)
		return records[0].Service
	}
	end := func(id conversation.ServiceID) {
		m.apply(alice, r.decide(t, &conversation.ServiceEnd{Service: id}))
	}
	writeRows := func() {
		r.writeRows()
		syncAll(t, s)
	}
	reopen := func() {
		closeStore(t, s)
		s = openStore(t, testOptions(fs))
		r = m.check(t, s)[alice]
	}

	first, second := start(), start()
	writeRows() // both active
	end(first)
	reopen()    // the active row of the first, and its end in the tail
	writeRows() // the completed row, with the active one deleted
	third := start()
	end(third)
	writeRows() // one that never had an active row
	end(second)
	reopen()
	writeRows()
	reopen()
	if n := len(framesOnDisk(t, s)); n < 4 {
		t.Errorf("only %d frames are left, the records should be in the tail", n)
	}
	if rows := completedRows(t, s, alice); len(rows) != 3 {
		t.Errorf("%d completed rows", len(rows))
	}
	// A late event changes the completed row and nothing else.
	r.settle()
	m.apply(alice, r.decide(t, &conversation.TaskStart{Service: first}))
	syncAll(t, s)
	reopen()
	writeRows()
	reopen()
	closeStore(t, s)
}

// However many rows were written, and wherever it crashes: rows and tail together are what was
// appended. All of it up to what was waited for is there, no group is there by half, and
// nothing is there behind a gap.
func TestAnyShareOfRows(t *testing.T) {
	random, emptied := newRandom(t), 0
	for n := 0; n < 12 || emptied < 3 && n < 200; n++ {
		h := &history{t: t, random: random, fs: vfs.NewCrashableMem(), model: make(model), residents: make(map[conversation.Owner]*resident)}
		h.store = openStore(t, h.options())
		for range 300 {
			h.step()
		}
		closeStore(t, h.store)
		emptied += h.emptied
	}
	if emptied < 3 {
		t.Errorf("only %d rows were written out to empty a segment", emptied)
	}
}

func (h *history) options() Options {
	o := testOptions(h.fs)
	o.inSegment = 4
	return o
}

type history struct {
	t         *testing.T
	random    *rand.Rand
	fs        *vfs.MemFS
	store     *Store
	appended  []appended
	waited    uint64 // every record up to here must be there
	model     model
	residents map[conversation.Owner]*resident
	emptied   int // services written out
}

// appended is a message's records and the number of the last.
type appended struct {
	sides []Side
	last  uint64
}

// keep has the model do what was appended.
func (h *history) keep(a appended) {
	h.appended = append(h.appended, a)
	h.model.keep(a)
}

func (m model) keep(a appended) {
	for _, p := range a.sides {
		m.apply(p.Owner, p.Records)
	}
}

// move moves a service of r to somebody else, or back.
func (h *history) move(r *resident) {
	o := r.domain.Owner
	to := h.awake([]conversation.Owner{alice, {Key: "dave"}}[h.random.IntN(2)])
	if left, joined := r.move(h.t, h.service(o), to); len(left) > 0 {
		h.keep(appended{sides: []Side{{Owner: o, Records: left}, {Owner: to.domain.Owner, Records: joined}}, last: r.watermark})
	}
}

// service is one that o has, or once had; 0 for none.
func (h *history) service(o conversation.Owner) conversation.ServiceID {
	if c := h.model[o]; c != nil && len(c.Services()) > 0 {
		return c.Services()[h.random.IntN(len(c.Services()))].ID
	}
	return 0
}

func (h *history) awake(o conversation.Owner) *resident {
	r := h.residents[o]
	if r == nil {
		r = wake(h.t, h.store, o)
		h.residents[o] = r
	}
	return r
}

func (h *history) step() {
	o := []conversation.Owner{alice, bob, carol, {Key: "dave"}}[h.random.IntN(4)]
	r := h.awake(o)
	if _, err := h.store.Look(h.random.IntN(3)); err != nil {
		h.t.Fatal(err)
	}
	switch n := h.random.IntN(49); {
	case n >= 45:
		h.move(r)
	case n < 24:
		if records := r.decide(h.t, h.event(r)); len(records) > 0 {
			h.keep(appended{sides: []Side{{Owner: o, Records: records}}, last: r.watermark})
		}
		if h.random.IntN(3) == 0 { // so that rows lead to groups
			r.writeRows()
		}
	case n < 30:
		r.writeRows()
	case n < 34:
		r.settle()
	case n < 37:
		waitFor(h.t, h.store, r.watermark)
		h.waited = max(h.waited, r.watermark)
	case n < 38: // asleep, if it may
		if r.unwritten == nil && h.store.RowsWritten(r.rows) {
			delete(h.residents, o)
		}
	case n < 39:
		h.loadAgain(r)
	case n < 40: // everybody's, so that frames are deleted
		for _, r := range h.residents {
			r.writeRows()
		}
	case n < 41:
		h.crash()
	case n < 44:
		h.empty()
	default:
		closeStore(h.t, h.store)
		h.reopen()
	}
}

func (h *history) event(r *resident) conversation.Event {
	o := r.domain.Owner
	service := conversation.ServiceStart{CustomerID: o.Key, Type: conversation.Integer(int64(h.random.IntN(3))), Details: noise(h.random, h.random.IntN(600))}
	if o.Anonymous {
		service.CustomerID, service.ContactKey = "", o.Key
	}
	id := h.service(o)
	switch h.random.IntN(8) {
	case 6:
		return &conversation.ServiceDeletion{Service: id}
	case 7:
		return &conversation.ServiceExpiration{Service: id, TTL: int64(1 + h.random.IntN(1000))}
	case 0:
		return &conversation.ServiceEnd{Service: id, Details: randomDetails(h.random)}
	case 1:
		return &conversation.TaskStart{Service: id, Details: noise(h.random, h.random.IntN(400))}
	case 2:
		return &conversation.StateEnd{Service: id, ID: 1, Details: randomDetails(h.random)}
	default:
		return &conversation.Composite{Service: service, HasTask: h.random.IntN(2) == 0, CreateNew: h.random.IntN(4) == 0}
	}
}

// loadAgain is what follows a panic: what is in memory is forgotten, the store is not.
func (h *history) loadAgain(r *resident) {
	syncAll(h.t, h.store)
	r.domain = conversation.Customer{Owner: r.domain.Owner}
	var err error
	if r.unwritten, _, err = h.store.Load(&r.domain, r.unwritten); err != nil {
		h.t.Fatalf("load again: %v", err)
	}
	want := h.model[r.domain.Owner]
	if want == nil {
		return
	}
	for _, w := range want.Services() {
		if got := r.domain.Service(w.ID); w.Completed == nil && (got == nil || !sameService(got, w)) {
			h.t.Fatalf("service\n%+v\nshould be\n%+v", got, w)
		}
	}
}

// empty has the rows written out that lead into the first sparse segment: then it is gone.
func (h *history) empty() {
	segment, holding, err := h.store.Sparse(0)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, held := range holding {
		h.awake(held.Owner).writeOut(held.Service)
	}
	syncAll(h.t, h.store)
	if again, _, err := h.store.Sparse(0); segment != 0 && again == segment || err != nil {
		h.t.Fatalf("segment %d is still there, %v", segment-1, err)
	}
	h.emptied += len(holding)
	checkSegments(h.t, h.store)
}

// crash leaves what was synced and a share of what was not.
func (h *history) crash() {
	clone := h.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * h.random.IntN(2), RNG: h.random})
	closeStore(h.t, h.store)
	h.fs = clone
	h.reopen()
}

// reopen finds how far the journal goes, and compares with the history up to there.
func (h *history) reopen() {
	o := h.options()
	o.lookAtOpen = 1 // the rest is looked at while it goes on
	h.store = openStore(h.t, o)
	there := h.store.next - 1
	if there < h.waited {
		h.t.Fatalf("the journal ends with record %d, and %d was waited for", there, h.waited)
	}
	h.waited = there
	h.model = make(model)
	n := 0
	for ; n < len(h.appended) && h.appended[n].last <= there; n++ {
		h.model.keep(h.appended[n])
	}
	if n > 0 && h.appended[n-1].last != there || n == 0 && there != 0 {
		h.t.Fatalf("the journal ends with record %d, in the middle of a group", there)
	}
	h.appended = h.appended[:n]
	h.checkWalk()
	checkDueRows(h.t, h.store)
	checkSegments(h.t, h.store)
	h.residents = h.model.check(h.t, h.store)
}

// checkWalk compares the ids that a walk gives, in steps of a few, with those there are.
func (h *history) checkWalk() {
	there := map[conversation.ServiceID]bool{}
	for _, c := range h.model {
		for _, s := range c.Services() {
			there[s.ID] = true
		}
	}
	walk, last := h.store.NewScan(), conversation.ServiceID(0)
	for {
		ids, err := walk.Next(1 + h.random.IntN(3))
		if err != nil {
			h.t.Fatal(err)
		}
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			if id <= last {
				h.t.Fatalf("a walk gives %d behind %d", id, last)
			}
			last = id
			delete(there, id) // it may give others as well, whose rows are not deleted yet
		}
	}
	if len(there) > 0 {
		h.t.Fatalf("a walk does not give %v", there)
	}
}

// checkDueRows: where the tail says nothing of an owner, each service row of it to which
// something happens has its due row.
func checkDueRows(t *testing.T, s *Store) {
	t.Helper()
	due := map[Due]bool{}
	rows, err := s.Due(Due{}, 1<<62, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range rows {
		due[d] = true
	}
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{customerTag}, UpperBound: []byte{customerTag + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	for valid := iter.First(); valid; valid = iter.Next() {
		svc, err := s.rowAt(iter)
		if err != nil {
			t.Fatal(err)
		}
		o, _, _ := readOwner(iter.Key()[1:])
		if at := svc.Due(s.opts.Timers); at != 0 && !s.InTail(o) && !due[Due{At: at, Service: svc.ID}] {
			t.Fatalf("the row of service %d is due at %d, and has no due row", svc.ID, at)
		}
	}
}

// A customer whose rows were handed over is all in its rows, once they are on disk: its frames
// may be gone, and are not asked for.
func TestLoadAfterHandOver(t *testing.T) {
	s := openStore(t, testOptions(vfs.NewMem()))
	r := wake(t, s, alice)
	r.start(t, nil)
	waitFor(t, s, r.watermark)
	u := r.unwritten
	r.writeRows()
	syncAll(t, s)
	if left := framesOnDisk(t, s); len(left) != 0 {
		t.Fatalf("frames that end with %v are left", left)
	}
	c := conversation.Customer{Owner: alice}
	if _, last, err := s.Load(&c, u); err != nil || last != r.watermark || len(c.Services()) != 1 {
		t.Errorf("%d services up to record %d, %v", len(c.Services()), last, err)
	}
	closeStore(t, s)
}

// Closing writes what was appended last, and leaves no goroutine behind.
func TestClose(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	fs, m := vfs.NewMem(), make(model)
	for range 20 { // the committer may have been about to write it anyway
		s := openStore(t, testOptions(fs))
		r := m.check(t, s)[alice]
		if r == nil {
			r = wake(t, s, alice)
		}
		m.apply(alice, r.decide(t, &conversation.ServiceStart{CustomerID: "alice"}))
		closeStore(t, s)
	}
	s := openStore(t, testOptions(fs))
	m.check(t, s)
	closeStore(t, s)
	goleak.VerifyNone(t, ignore)
}
