package actors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// opened is a directory over a store in memory, closed with the test.
func opened(t testing.TB, o Options) *Directory {
	t.Helper()
	store, err := persist.Open(persist.Options{
		Dir: "data", FS: vfs.NewMem(), CacheBytes: 1 << 20, TableBytes: 1 << 20, TailBytes: 1 << 20, ReserveBytes: -1,
		Now: time.Now, Fatal: func(err error) { panic(err) }, Logf: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Now == nil {
		o.Now = func() conversation.Instant { return conversation.UnixEpoch }
	}
	o.Bounds = conversation.Bounds{ActiveServices: 1e6, Parts: 1e6, Extensions: 64, ServiceBytes: 1 << 20}
	if o.MaxMessages == 0 {
		o.MaxMessages = 1e6
	}
	if o.AwakeBytes == 0 {
		o.AwakeBytes = 1 << 30
	}
	o.Logf = t.Logf
	d := New(store, o)
	t.Cleanup(func() {
		if err := errors.Join(d.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func composite(customer string, task int) *conversation.Composite {
	return &conversation.Composite{
		Service: conversation.ServiceStart{CustomerID: customer, Type: conversation.String("S")},
		State:   conversation.StateStart{Type: conversation.String("A")},
		Task:    conversation.TaskStart{Type: conversation.Integer(int64(task))}, HasTask: true,
	}
}

// tell sends one composite start and gives the answer.
func tell(t *testing.T, d *Directory, m *Message, customer string, task int) *Message {
	t.Helper()
	e := composite(customer, task)
	if err := d.Send(e.Service.Owner(""), m.Decide(e)); err != nil {
		t.Fatal(err)
	}
	if err := m.Await(context.Background()); err != nil {
		t.Fatal(err)
	}
	return m
}

// Customers are sent to sleep without a pause while many senders wake them: no message is
// lost, each is served once, and whoever wakes finds what was there before.
func TestNoMessageIsLost(t *testing.T) {
	d := opened(t, Options{AwakeBytes: 1}) // whoever may sleep is to
	const senders, customers, rounds = 8, 5, 1500
	var created [customers]atomic.Int64
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			m := NewMessage()
			for i := range rounds {
				n := (sender + i) % customers
				tell(t, d, m, fmt.Sprint(n), sender*rounds+i) // a task of its own type: always created
				if m.Err != nil || !m.Outcome.TaskCreated {
					t.Errorf("%+v, %v", m.Outcome, m.Err)
					return
				}
				if m.Outcome.ServiceCreated {
					created[n].Add(1)
				}
			}
		})
	}
	wg.Wait()
	tasks := 0
	for n := range customers {
		owner := conversation.Owner{Key: fmt.Sprint(n)}
		m := NewMessage().Read(Read{Active: true})
		if err := errors.Join(d.Send(owner, m), m.Await(context.Background()), m.Err); err != nil {
			t.Fatal(err)
		}
		if created[n].Load() != 1 || len(m.Services) != 1 {
			t.Fatalf("customer %d: %d services created, %d there", n, created[n].Load(), len(m.Services))
		}
		tasks += len(m.Services[0].Tasks)
	}
	if tasks != senders*rounds {
		t.Errorf("%d tasks of %d", tasks, senders*rounds)
	}
}

// One customer is asked by many at once: the messages of each sender are served in order, and
// no sender serves the others without end.
func TestHotCustomer(t *testing.T) {
	d := opened(t, Options{})
	var wg sync.WaitGroup
	for sender := range 16 {
		wg.Go(func() {
			m, last := NewMessage(), int32(0)
			for i := range 500 {
				tell(t, d, m, "hot", sender*1000+i)
				if m.Outcome.Task <= last {
					t.Errorf("task %d after %d", m.Outcome.Task, last)
				}
				last = m.Outcome.Task
			}
		})
	}
	wg.Wait()
}

// A panic while a message is served costs that message its answer, and nothing else: the
// customer is built again from what was kept, and others do not notice.
func TestFault(t *testing.T) {
	var faulty atomic.Bool
	d := opened(t, Options{Now: func() conversation.Instant {
		if faulty.CompareAndSwap(true, false) {
			panic("planted")
		}
		return conversation.UnixEpoch
	}})
	m := NewMessage()
	before := tell(t, d, m, "c", 1).Outcome
	for range 30 { // more often than protoactor's supervision would stand
		faulty.Store(true)
		if tell(t, d, m, "c", 2); !errors.Is(m.Err, ErrFault) {
			t.Fatalf("got %v", m.Err)
		}
		if tell(t, d, m, "other", 1); m.Err != nil {
			t.Fatal(m.Err)
		}
	}
	after := tell(t, d, m, "c", 1).Outcome
	if m.Err != nil || after.Service != before.Service || after.Task != before.Task || after.ServiceCreated || after.TaskCreated {
		t.Errorf("before %+v, after %+v, %v", before, after, m.Err)
	}
}

// Past the bound on messages that wait for one customer a further one is refused at once.
func TestBusy(t *testing.T) {
	inside, leave := make(chan bool), make(chan bool)
	var hold atomic.Bool
	hold.Store(true)
	d := opened(t, Options{MaxMessages: 2, Now: func() conversation.Instant {
		if hold.CompareAndSwap(true, false) {
			inside <- true
			<-leave
		}
		return conversation.UnixEpoch
	}})
	first := NewMessage().Decide(composite("c", 1))
	go func() { _ = d.Send(conversation.Owner{Key: "c"}, first) }()
	<-inside
	second, third := NewMessage().Decide(composite("c", 2)), NewMessage().Decide(composite("c", 3))
	if err := d.Send(conversation.Owner{Key: "c"}, second); err != nil {
		t.Error(err)
	}
	if err := d.Send(conversation.Owner{Key: "c"}, third); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	// One that has not been looked at can be given up, and is then never looked at.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := second.Await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	leave <- true
	if err := first.Await(context.Background()); err != nil || !first.Outcome.TaskCreated {
		t.Errorf("%+v, %v", first.Outcome, err)
	}
	if m := tell(t, d, NewMessage(), "c", 2); !m.Outcome.TaskCreated {
		t.Errorf("what was given up took effect: %+v", m.Outcome)
	}
}

// A sleeping customer is not in memory: it has no entry and counts for nothing.
func TestSleepersAreGone(t *testing.T) {
	d := opened(t, Options{})
	m := NewMessage()
	for n := range 300 {
		tell(t, d, m, fmt.Sprint(n), 1)
	}
	d.stop() // the steps are taken here
	d.done.Wait()
	d.opts.AwakeBytes = 0
	for range 10 {
		d.Sleep(context.Background())
	}
	if customers, bytes := d.Awake(); customers != 0 || bytes != 0 {
		t.Errorf("%d customers of %d bytes are awake", customers, bytes)
	}
	if tell(t, d, m, "7", 1); m.Outcome.ServiceCreated {
		t.Error("a sleeping customer was not found")
	}
}

// What few rows still lead into of the journal's old frames is written out and the frames go, while
// everybody sleeps; who was left alone is found as before.
func TestOldFramesAreEmptied(t *testing.T) {
	d := opened(t, Options{})
	d.stop() // the steps are taken here
	d.done.Wait()
	d.opts.AwakeBytes = 0
	ctx, m := context.Background(), NewMessage()
	sleep := func() {
		for range 20 {
			d.Sleep(ctx)
		}
		if err := d.writeAll(ctx); err != nil {
			t.Fatal(err)
		}
		if n, _ := d.Awake(); n > 0 {
			t.Fatalf("%d customers are awake", n)
		}
	}
	const customers = 2_000
	notes := conversation.Details(nil).AppendExtension([]byte("notes"), fmt.Appendf(nil, `"%0400d"`, 1))
	ids := map[string]conversation.ServiceID{}
	for n := range customers {
		e := composite(fmt.Sprint(n), 1)
		e.Service.Details = notes
		if err := errors.Join(d.Send(e.Service.Owner(""), m.Decide(e)), m.Await(ctx), m.Err); err != nil {
			t.Fatal(err)
		}
		ids[e.Service.CustomerID] = m.Outcome.Service
	}
	sleep()
	if segment, _, err := d.store.Sparse(0); segment != 0 || err != nil {
		t.Fatalf("segment %d is sparse, and every row leads to the journal; %v", segment, err)
	}
	for customer, id := range ids {
		if customer[len(customer)-1] == '7' {
			continue
		}
		o := conversation.Owner{Key: customer}
		if err := errors.Join(d.Send(o, m.Decide(&conversation.ServiceDeletion{Service: id})), m.Await(ctx), m.Err); err != nil {
			t.Fatal(err)
		}
	}
	sleep()
	segments := 0
	for {
		more, err := d.Empty(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		segments++
	}
	if segment, _, err := d.store.Sparse(0); segments == 0 || segment != 0 || err != nil {
		t.Errorf("%d segments were emptied, segment %d is still sparse; %v", segments, segment, err)
	}
	sleep()
	for customer, id := range ids {
		if customer[len(customer)-1] != '7' {
			continue
		}
		o := conversation.Owner{Key: customer}
		if err := errors.Join(d.Send(o, m.Read(Read{Service: id})), m.Await(ctx), m.Err); err != nil {
			t.Fatalf("customer %s: %v", customer, err)
		}
		if s := m.Services[0]; s.ID != id || s.Frame != 0 || !bytes.Equal(s.Details, notes) {
			t.Fatalf("customer %s has %+v", customer, s)
		}
	}
}
