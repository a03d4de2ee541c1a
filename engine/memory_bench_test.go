package engine

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"
)

var awakeCustomers = flag.Int("awake", 1_000_000, "customers that BenchmarkCollector keeps awake")

// What an awake customer with one service, a state and a task takes in memory, the directory's share
// included: the difference that 200,000 of them make, after as many before them have brought tables,
// caches and pools to the size that they keep. They have no extensions, which take their own bytes.
// Once is enough: -benchtime 1x.
func BenchmarkAwakeCustomer(b *testing.B) {
	const customers = 200_000
	e := openAwake(b)
	createAwake(b, e, 0, customers)
	before := heap()
	createAwake(b, e, customers, 2*customers)
	after := heap()
	if n, _ := e.Awake(); n != 2*customers {
		b.Fatalf("%d customers are awake, want %d", n, 2*customers)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/customers, "B/customer")
	b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/customers, "objects/customer")
	b.ReportMetric(0, "ns/op")
}

// What share of the CPU the garbage collector takes while a million customers are awake, and half of
// what is asked for is found and half is new. It is told from one collection to the next: the
// runtime counts when one ends. The collector waits as long as it does in switchboard serve. Once is
// enough: -benchtime 1x.
func BenchmarkCollector(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	const (
		callers = 256
		within  = 4 * time.Minute
	)
	e := openAwake(b)
	createAwake(b, e, 0, *awakeCustomers)
	runtime.GC()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(caller), 0))
			for made := 0; ctx.Err() == nil; made++ {
				for _, customer := range []string{known(r.IntN(*awakeCustomers)), fmt.Sprint("new ", caller, " ", made)} {
					if _, err := e.CompositeStart(context.Background(), []Composite{triple(customer, "card", "offer", "call")}, nil); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	first := collectorNow()
	last := collectorAfter(first.cycles+1, within)
	stop()
	running.Wait()
	if last.cycles == first.cycles {
		b.Fatalf("no collection within %v", within)
	}
	b.ReportMetric(100*(last.collecting-first.collecting)/(last.busy-first.busy), "%GC")
	b.ReportMetric(float64(last.cycles-first.cycles), "collections")
	b.ReportMetric(0, "ns/op")
}

// openAwake opens an engine where all stay awake, and a short tail keeps little beside them.
func openAwake(b *testing.B) *Engine {
	b.Helper()
	e, err := Open(Options{Dir: b.TempDir(), TailBytes: 1 << 20, awake: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

func known(i int) string { return "customer " + strconv.Itoa(i) }

// createAwake creates the customers from first to before last, many to a request.
func createAwake(b *testing.B, e *Engine, first, last int) {
	b.Helper()
	const callers, together = 16, 500
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for from := first + caller*together; from < last; from += callers * together {
				var items []Composite
				for i := from; i < min(from+together, last); i++ {
					items = append(items, triple(known(i), "card", "offer", "call"))
				}
				if _, err := e.CompositeStart(context.Background(), items, nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

// heap is what is alive: what pools hold goes in the second collection.
func heap() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// collector is what it has done up to its last cycle.
type collector struct {
	cycles           uint64
	collecting, busy float64 // seconds of CPU, of the collector and of all
}

func collectorNow() collector {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"},
	}
	metrics.Read(s)
	return collector{s[0].Value.Uint64(), s[1].Value.Float64(), s[2].Value.Float64() - s[3].Value.Float64()}
}

// collectorAfter waits for so many cycles.
func collectorAfter(cycles uint64, within time.Duration) collector {
	for end := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		if c := collectorNow(); c.cycles >= cycles || time.Now().After(end) {
			return c
		}
	}
}
