package persist

import (
	"context"
	"flag"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

var (
	seed   = flag.Uint64("seed", 0, "seed of the random tests; 0 takes the time")
	update = flag.Bool("update", false, "write the golden files anew")
)

func newRandom(t *testing.T) *rand.Rand {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", s)
	return rand.New(rand.NewPCG(s, 0))
}

// testOptions are those of a small store in which the disk must not fail.
func testOptions(fs FS) Options {
	return Options{
		Dir: "data", FS: fs, CacheBytes: 1 << 20, TableBytes: 4 << 20, TailBytes: 64 << 20,
		ReserveBytes: -1, Now: time.Now, Fatal: func(err error) { panic(err) },
	}
}

func openStore(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, s *Store, number uint64) {
	t.Helper()
	if err := s.Wait(t.Context(), number); err != nil {
		t.Fatal(err)
	}
}

func syncAll(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
}

var bounds = conversation.Bounds{ActiveServices: 1000, Parts: 1000, Extensions: 64, ServiceBytes: MaxServiceBytes}

// resident does for one owner what its actor does: it decides, applies and appends, and hands
// over rows.
type resident struct {
	store     *Store
	domain    conversation.Customer
	unwritten *Unwritten
	watermark uint64
	rows      uint64
}

func wake(t *testing.T, s *Store, o conversation.Owner) *resident {
	t.Helper()
	r := &resident{store: s, domain: conversation.Customer{Owner: o}}
	var err error
	if r.unwritten, r.watermark, err = s.Load(&r.domain, nil); err != nil {
		t.Fatalf("load %v: %v", o, err)
	}
	return r
}

// decide gives back the records appended, which is what happened.
func (r *resident) decide(t *testing.T, e conversation.Event) []conversation.Record {
	t.Helper()
	r.bring(t, conversation.Target(e))
	stamp := conversation.Stamp{Now: conversation.UnixEpoch, ServiceID: r.store.NewServiceID(r.domain.Owner), Bounds: bounds}
	records, _, err := conversation.Decide(&r.domain, e, stamp, nil)
	if err != nil || len(records) == 0 {
		return nil
	}
	for i := range records {
		r.domain.Apply(&records[i])
	}
	r.unwritten, r.watermark = r.store.Append(r.unwritten, r.domain.Owner, records)
	return records
}

// bring gets a completed service from its row.
func (r *resident) bring(t *testing.T, id conversation.ServiceID) {
	t.Helper()
	if id == 0 || r.domain.Service(id) != nil || r.domain.Gone(id) != nil {
		return
	}
	s, last, err := r.store.CompletedService(r.domain.Owner, id)
	if err != nil {
		t.Fatal(err)
	}
	if s != nil {
		r.domain.Add(s)
		r.watermark = max(r.watermark, last)
	}
}

// move moves a service to another owner, and gives back the records of both; none where it
// stays.
func (r *resident) move(t *testing.T, id conversation.ServiceID, to *resident) (left, joined []conversation.Record) {
	t.Helper()
	r.bring(t, id)
	e := &conversation.ServiceAssociation{Service: id, CustomerID: to.domain.Owner.Key}
	stamp := conversation.Stamp{Now: conversation.UnixEpoch, Bounds: bounds}
	left, joined, err := conversation.DecideAssociation(&r.domain, &to.domain, e, stamp)
	if err != nil || len(left) == 0 {
		return nil, nil
	}
	for i := range left {
		r.domain.Apply(&left[i])
	}
	for i := range joined {
		to.domain.Apply(&joined[i])
	}
	a := Side{Unwritten: r.unwritten, Owner: r.domain.Owner, Records: left}
	b := Side{Unwritten: to.unwritten, Owner: to.domain.Owner, Records: joined}
	r.watermark = r.store.AppendBoth(&a, &b)
	r.unwritten, to.unwritten, to.watermark = a.Unwritten, b.Unwritten, r.watermark
	return left, joined
}

// start starts a service and tells its id.
func (r *resident) start(t *testing.T, details conversation.Details) conversation.ServiceID {
	t.Helper()
	e := &conversation.ServiceStart{CustomerID: r.domain.Owner.Key, Type: conversation.String("card"), Details: details}
	return r.decide(t, e)[0].Service
}

func (r *resident) writeRows() {
	if r.unwritten != nil {
		r.handOver()
	}
}

// writeOut has the row of a service hold the service itself.
func (r *resident) writeOut(id conversation.ServiceID) {
	if s := r.domain.Service(id); s != nil {
		s.Changed = true
	}
	r.handOver()
}

func (r *resident) handOver() {
	var rows []Row
	for id, g := range r.domain.AllGone() {
		if !g.HandedOver {
			rows = AppendGone(rows, r.domain.Owner, id, g, r.watermark)
			g.HandedOver = true
		}
	}
	for _, s := range r.domain.Services() {
		if s.Changed {
			rows = r.store.AppendRows(rows, r.unwritten, r.domain.Owner, s, r.watermark)
		}
	}
	r.rows = r.store.WriteRows(r.unwritten, rows)
	r.unwritten = nil
}

// settle forgets what its rows keep.
func (r *resident) settle() {
	if r.store.RowsWritten(r.rows) {
		r.domain.Settle()
	}
}

// noise is an extension that does not pack.
func noise(r *rand.Rand, bytes int) conversation.Details {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return conversation.Details(nil).AppendExtension([]byte("noise"), b)
}

// sameService compares what a service says, not how it came to memory.
func sameService(a, b *conversation.Service) bool {
	return reflect.DeepEqual(plain(a), plain(b))
}

func plain(s *conversation.Service) *conversation.Service {
	s = s.Clone()
	s.Changed, s.Stored = false, conversation.Stored{}
	tidy := func(d *conversation.Details, end **conversation.End) {
		if len(*d) == 0 {
			*d = nil
		}
		if *end != nil && len((*end).Details) == 0 {
			*end = &conversation.End{At: (*end).At}
		}
	}
	tidy(&s.Details, &s.Completed)
	for i := range s.States {
		tidy(&s.States[i].Details, &s.States[i].Completed)
	}
	for i := range s.Tasks {
		tidy(&s.Tasks[i].Details, &s.Tasks[i].Completed)
	}
	return s
}
