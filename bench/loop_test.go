package bench

import (
	"context"
	"errors"
	"testing"
	"time"
)

// hand is a clock that moves when it is waited for, or when an answer takes time.
type hand struct{ at time.Duration }

func (h *hand) now() time.Duration { return h.at }
func (h *hand) until(t time.Duration) {
	h.at = max(h.at, t)
}

// slow answers each request after what it is told to take.
type slow struct {
	clock *hand
	takes func(request int) time.Duration
	asked int
	err   error
}

func (s *slow) Do(*Request) error {
	s.clock.at += s.takes(s.asked)
	s.asked++
	return s.err
}
func (s *slow) Close() error { return nil }

func runOne(l Load, takes func(int) time.Duration, err error) (*slow, *tally) {
	clock := new(hand)
	conn, recorder := &slow{clock: clock, takes: takes, err: err}, newRecorder()
	w := worker{&l, clock, conn, newWorkload("hot").Generator(0), recorder.shard(0), new(pace)}
	if l.Rate > 0 {
		w.open(context.Background().Done())
	} else {
		w.closed(context.Background().Done())
	}
	recorder.cut()
	return conn, &recorder.total
}

// With a rate, a stall is seen by all that was due in it: of 100 requests a second, one takes half
// a second, and so 50 others wait for it, each as long as it was due before its end.
func TestOpenLoopHidesNoStall(t *testing.T) {
	conn, seen := runOne(Load{Connections: 1, Rate: 100, Duration: 2 * time.Second}, func(i int) time.Duration {
		if i == 100 {
			return 500 * time.Millisecond
		}
		return 0
	}, nil)
	if conn.asked != 200 || seen.latency.TotalCount() != 200 {
		t.Fatalf("%d requests sent and %d noted, want 200", conn.asked, seen.latency.TotalCount())
	}
	l := latencyOf(seen.latency)
	if l.P50 > 1 || l.P90 < 290 || l.P90 > 310 || l.P99 < 470 || l.Max < 499 {
		t.Errorf("%+v: 50 of 200 should have waited from 0 to 500 ms", l)
	}
}

// What was due and found no time to be sent counts, with the time that it waited.
func TestUnsentCounts(t *testing.T) {
	conn, seen := runOne(Load{Connections: 1, Rate: 10, Duration: time.Second}, func(int) time.Duration { return 400 * time.Millisecond }, nil)
	if conn.asked != 3 || seen.unsent != 7 || seen.latency.TotalCount() != 10 {
		t.Errorf("%d sent, %d not, %d noted; want 3, 7 and 10", conn.asked, seen.unsent, seen.latency.TotalCount())
	}
	if l := latencyOf(seen.latency); l.Max < 999 {
		t.Errorf("%+v: the request due at 0.3 s waited until 1.2 s, and the third one a second", l)
	}
}

// Without a rate each request follows the answer, and what was sent in the warm-up does not count.
func TestClosedLoop(t *testing.T) {
	conn, seen := runOne(Load{Connections: 1, Warmup: time.Second, Duration: time.Second}, func(int) time.Duration { return 10 * time.Millisecond }, nil)
	if conn.asked != 200 || seen.latency.TotalCount() != 100 {
		t.Errorf("%d sent, %d noted; want 200 and 100", conn.asked, seen.latency.TotalCount())
	}
	if l := latencyOf(seen.latency); l.P50 < 9.9 || l.Max > 10.1 {
		t.Errorf("%+v, want 10 ms", l)
	}
}

// Refusals are counted by kind, are no latencies, and the first is kept.
func TestErrorsAreCountedByKind(t *testing.T) {
	_, seen := runOne(Load{Connections: 1, Duration: time.Second}, func(int) time.Duration { return 100 * time.Millisecond }, &StatusError{503})
	if seen.errors["status 503"] != 10 || seen.latency.TotalCount() != 0 || seen.first != "status 503" {
		t.Errorf("%v, %d latencies, first %q", seen.errors, seen.latency.TotalCount(), seen.first)
	}
}

// The search ends between a rate that keeps the bound and one that does not.
func TestSearch(t *testing.T) {
	for _, limit := range []float64{70, 333, 990} {
		rate, err := highest(1_000, func(rate float64) (bool, error) { return rate <= limit, nil })
		if err != nil || rate > limit || rate < limit*0.95-1 {
			t.Errorf("the bound breaks past %v: found %v (%v)", limit, rate, err)
		}
	}
	if _, err := highest(1_000, func(float64) (bool, error) { return false, nil }); !errors.Is(err, errNoRate) {
		t.Errorf("nothing keeps the bound: %v", err)
	}
	b, err := ParseBound("p99.9=3ms")
	if err != nil {
		t.Fatal(err)
	}
	fine := Round{Rate: 100, Latency: Latency{P999: 2.9}}
	late, slower, failing := fine, fine, fine
	late.Latency.P999, slower.Rate, failing.Errors = 3.1, 90, map[string]int64{"status 503": 1}
	if !b.keeps(&fine, 100) || b.keeps(&late, 100) || b.keeps(&slower, 100) || b.keeps(&failing, 100) {
		t.Error("a bound is kept at the rate asked for, without errors, or not at all")
	}
	for _, wrong := range []string{"", "p99", "p99=3", "p98=3ms", "max=-1s"} {
		if _, err := ParseBound(wrong); err == nil {
			t.Errorf("%q passes", wrong)
		}
	}
}
