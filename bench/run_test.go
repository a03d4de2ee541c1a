package bench

import (
	"bytes"
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/transport"
)

// Every workload runs against an engine in memory, in-process and over loopback, with and without
// a rate, and nothing is refused.
func TestEveryWorkload(t *testing.T) {
	inProcess, err := NewEmbedded(engine.Options{Dir: "data", FS: vfs.NewMem(), Memory: engine.MinMemory}, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := inProcess.Close(); err != nil {
			t.Error(err)
		}
	}()
	server := transport.New(transport.Options{})
	server.SetEngine(inProcess.(*embedded).engine)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
	}()
	seed := uint64(0)
	for _, target := range []Target{inProcess, NewHTTP("http", listener.Addr().String())} {
		for _, about := range Workloads {
			for _, rate := range []float64{0, 500} {
				seed++
				w := Workload{Name: about[0], Seed: seed, Creating: 0.5, Customers: 40, Items: 2, Body: Bodies[seed%2][0]}
				l := Load{Connections: 4, Rate: rate, Warmup: 10 * time.Millisecond, Duration: 80 * time.Millisecond}
				round, err := NewSubject(target, w, new(bytes.Buffer)).Run(t.Context(), l)
				if err != nil {
					t.Fatalf("%s, %s: %v", target.Name(), w.Name, err)
				}
				if round.Requests == 0 || len(round.Errors) > 0 || len(round.Points) == 0 {
					t.Errorf("%s, %s at %v/s: %d requests, %v, first %q", target.Name(), w.Name, rate, round.Requests, round.Errors, round.FirstError)
				}
			}
		}
	}
}

// A second run with the same seed finds what the first created; each such answer is an error of its
// own kind, and no latency.
func TestWrongOutcomesAreErrors(t *testing.T) {
	target, err := NewEmbedded(engine.Options{Dir: "data", FS: vfs.NewMem(), Memory: engine.MinMemory}, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	}()
	l := Load{Connections: 1, Rate: 1_000, Duration: 200 * time.Millisecond}
	for run, want := range []string{"", ErrFound.Error()} {
		round, err := NewSubject(target, newWorkload("composite"), nil).Run(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if n := round.Errors[want]; run == 0 && len(round.Errors) > 0 || run == 1 && (n == 0 || round.Requests > 0) {
			t.Errorf("run %d: %d answered as wanted, errors %v", run, round.Requests, round.Errors)
		}
		l.Duration /= 10 // so that it asks for none beyond
	}
}

// What the engine is told in-process holds what the JSON does.
func TestDetailsArePacked(t *testing.T) {
	c := &embeddedConn{}
	r := newWorkload("composite").Generator(0).Next()
	details := c.pack(r.Items[0].ServiceJSON)
	if err := details.Check(); err != nil {
		t.Fatal(err)
	}
	if got := string(details.Extension("RelatedOffersService")); len(got) < 100 || got[0] != '[' {
		t.Errorf("RelatedOffersService is %q", got)
	}
	names := 0
	for m := range details.Members() {
		if names++; named(m.Name) {
			t.Errorf("%s has a place of its own", m.Name)
		}
	}
	if names != 8 {
		t.Errorf("%d members, the example's service has 8 beside its customer and type", names)
	}
}

// The process that runs this test can be watched.
func TestUsage(t *testing.T) {
	u, err := UsageOf(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	if u.Memory < 1<<20 {
		t.Errorf("%+v: less than a MiB", u)
	}
}
