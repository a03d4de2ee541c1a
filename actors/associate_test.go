package actors

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

var alice, bob = conversation.Owner{Key: "alice"}, conversation.Owner{Key: "bob"}

func services(t *testing.T, d *Directory, o conversation.Owner) []*conversation.Service {
	t.Helper()
	m := NewMessage().Read(Read{Active: true})
	if err := errors.Join(d.Send(o, m), m.Await(context.Background()), m.Err); err != nil {
		t.Fatal(err)
	}
	return m.Services
}

// Who gives up waiting for the second of two customers holds neither: what has come for them
// meanwhile is served, in its order, and the service is where it was.
func TestHoldGivenUp(t *testing.T) {
	d := opened(t, Options{})
	id := tell(t, d, NewMessage(), "alice", 0).Outcome.Service
	second, err := d.hold(context.Background(), bob)
	if err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(context.Background())
	var associated sync.WaitGroup
	associated.Go(func() {
		e := &conversation.ServiceAssociation{Service: id, CustomerID: "bob"}
		if _, err := d.Associate(ctx, e, alice, bob); !errors.Is(err, context.Canceled) {
			t.Errorf("association: %v", err)
		}
	})
	for until := time.Now().Add(10 * time.Second); second.customer.waiting.Load() == 0; { // alice is held now
		if time.Now().After(until) {
			t.Fatal("nobody waits for bob")
		}
		runtime.Gosched()
	}
	var told []*Message
	for task := range 3 {
		for _, customer := range []string{"alice", "bob"} {
			e := composite(customer, task)
			m := NewMessage().Decide(e)
			if err := d.Send(e.Service.Owner(""), m); err != nil {
				t.Fatal(err)
			}
			told = append(told, m)
		}
	}
	giveUp()
	associated.Wait()
	second.release()
	for i, m := range told {
		if err := errors.Join(m.Await(context.Background()), m.Err); err != nil {
			t.Fatal(err)
		}
		if m.Outcome.ServiceCreated != (i == 1) {
			t.Errorf("message %d: %+v", i, m.Outcome)
		}
	}
	if at := services(t, d, alice); len(at) != 1 || at[0].ID != id {
		t.Errorf("alice has %+v", at)
	}
}

// A fault in the middle of an association leaves the service where it was, and both customers
// are built anew from what is kept.
func TestFaultInAssociation(t *testing.T) {
	clock := conversation.UnixEpoch
	fault := false
	d := opened(t, Options{Now: func() conversation.Instant {
		if fault {
			panic("planted")
		}
		return clock
	}})
	id := tell(t, d, NewMessage(), "alice", 0).Outcome.Service
	tell(t, d, NewMessage(), "bob", 0)
	e := &conversation.ServiceAssociation{Service: id, CustomerID: "bob"}
	fault = true
	if _, err := d.Associate(context.Background(), e, alice, bob); !errors.Is(err, ErrFault) {
		t.Errorf("a fault is told as %v", err)
	}
	fault = false
	if a, b := services(t, d, alice), services(t, d, bob); len(a) != 1 || len(b) != 1 || a[0].ID != id {
		t.Fatalf("alice has %+v, bob %+v", a, b)
	}
	if _, err := d.Associate(context.Background(), e, alice, bob); err != nil {
		t.Fatal(err)
	}
	if a, b := services(t, d, alice), services(t, d, bob); len(a) != 0 || len(b) != 2 {
		t.Errorf("alice has %+v, bob %+v", a, b)
	}
	if _, err := d.Associate(context.Background(), e, alice, bob); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("from where it has left: %v", err)
	}
}
