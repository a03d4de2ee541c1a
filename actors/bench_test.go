package actors

import (
	"context"
	"testing"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// A turn of an awake customer: sent, decided, answered; nothing is created, so nothing is
// journaled, and nothing is allocated.
func BenchmarkTurn(b *testing.B) {
	d := opened(b, Options{})
	m, e := NewMessage(), composite("alice", 0)
	o := e.Service.Owner("")
	b.ReportAllocs()
	for b.Loop() {
		turn(b, d, m, o, e)
	}
}

func turn(tb testing.TB, d *Directory, m *Message, o conversation.Owner, e *conversation.Composite) {
	if err := d.Send(o, m.Decide(e)); err != nil {
		tb.Fatal(err)
	}
	if err := m.Await(context.Background()); err != nil || m.Err != nil {
		tb.Fatal(err, m.Err)
	}
}

// The turn of what is found allocates nothing.
func TestTurnAllocatesNothing(t *testing.T) {
	d := opened(t, Options{})
	m, e := NewMessage(), composite("alice", 0)
	o := e.Service.Owner("")
	turn(t, d, m, o, e)
	if n := testing.AllocsPerRun(1000, func() { turn(t, d, m, o, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
