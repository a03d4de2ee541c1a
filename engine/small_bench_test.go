package engine

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
)

// smallCallers ask at once: so many share a sync that the disk is not what is measured.
const smallCallers = 1_024

// Composite starts in-process as a small program sends them, customer and types and nothing else, by
// 1,024 callers at once on the machine's disk: of 20,000 customers that are there, of one that is,
// and of new ones. Each answer is durable.
func BenchmarkSmall(b *testing.B) {
	ids := make([]string, 20_000)
	for i := range ids {
		ids[i] = known(i)
	}
	var made atomic.Int64
	for _, c := range []struct {
		name     string
		customer func(r *rand.Rand) string
	}{
		{"found", func(r *rand.Rand) string { return ids[r.IntN(len(ids))] }},
		{"hot", func(*rand.Rand) string { return ids[0] }},
		{"new", func(*rand.Rand) string { return "new " + strconv.FormatInt(made.Add(1), 36) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := Open(Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			createAwake(b, e, 0, len(ids))
			var seeds atomic.Uint64
			b.SetParallelism((smallCallers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				r := rand.New(rand.NewPCG(seeds.Add(1), 0))
				items, outcomes := []Composite{triple("", "card", "offer", "call")}, make([]Outcome, 0, 1)
				for pb.Next() {
					items[0].Service.CustomerID = c.customer(r)
					outcomes, err := e.CompositeStart(context.Background(), items, outcomes[:0])
					if err != nil || outcomes[0].ServiceCreated != (c.name == "new") {
						b.Errorf("%s: %+v, %v", items[0].Service.CustomerID, outcomes, err)
						return
					}
				}
			})
			b.StopTimer() // closing writes rows
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "starts/s")
		})
	}
}
