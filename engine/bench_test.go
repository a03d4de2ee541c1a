package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
)

// Composite starts of typed events in-process, on the machine's disk: of what is there, and of
// customers never seen, each answer durable; by 512 callers at once.
func BenchmarkCompositeStart(b *testing.B) {
	const callers = 512
	for _, created := range []bool{false, true} {
		b.Run(map[bool]string{false: "found", true: "created"}[created], func(b *testing.B) {
			e, err := Open(Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			var n atomic.Int64
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				items, outcomes := make([]Composite, 1), make([]Outcome, 0, 1)
				items[0] = triple(fmt.Sprint("customer ", n.Add(1)), "card", "offer", "call")
				for pb.Next() {
					var err error
					if created {
						items[0].Service.CustomerID = fmt.Sprint("customer ", n.Add(1))
					}
					if outcomes, err = e.CompositeStart(context.Background(), items, outcomes[:0]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
