package conversation_test

import (
	"testing"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// triple is a composite start as an IVR sends it.
var triple = conversation.Composite{
	Service: conversation.ServiceStart{CustomerID: "alice", Type: conversation.String("card")},
	State:   conversation.StateStart{Type: conversation.String("offer")},
	Task:    conversation.TaskStart{Type: conversation.String("call")}, HasTask: true, Associate: true,
}

func stampedAt(now conversation.Instant) conversation.Stamp {
	return conversation.Stamp{
		Now: now, ServiceID: 1, Bounds: conversation.Bounds{ActiveServices: 10, Parts: 10, Extensions: 10, ServiceBytes: 1 << 20},
	}
}

// started is a customer for whom the triple is open.
func started(tb testing.TB) *conversation.Customer {
	tb.Helper()
	c := &conversation.Customer{Owner: conversation.Owner{Key: "alice"}}
	records, _, err := conversation.Decide(c, &triple, stampedAt(1), nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range records {
		c.Apply(&records[i])
	}
	return c
}

// A composite start that finds costs no memory: it looks, and that is all.
func TestFoundAllocatesNothing(t *testing.T) {
	c, records := started(t), make([]conversation.Record, 0, 3)
	if n := testing.AllocsPerRun(1000, func() {
		if _, out, err := conversation.Decide(c, &triple, stampedAt(2), records); err != nil || out.TaskCreated {
			t.Fatal(out, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Deciding a composite start: of what is there, and of what is not, which is applied too.
func BenchmarkDecide(b *testing.B) {
	records := make([]conversation.Record, 0, 3)
	b.Run("found", func(b *testing.B) {
		c := started(b)
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = conversation.Decide(c, &triple, stampedAt(2), records)
		}
	})
	b.Run("created", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := conversation.Customer{Owner: conversation.Owner{Key: "alice"}}
			decided, _, _ := conversation.Decide(&c, &triple, stampedAt(1), records)
			for i := range decided {
				c.Apply(&decided[i])
			}
		}
	})
}
