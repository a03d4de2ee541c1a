package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// Latencies are told apart from 100 ns to 100 s, to three digits: some 170 KB a histogram.
	leastLatency = 100
	mostLatency  = 100_000_000_000
	digitsKept   = 3
	// shards keep two connections from waiting for each other to note something, and histograms
	// few enough for the cache.
	shards = 4
	// maxKinds bounds the kinds of errors that are counted apart.
	maxKinds = 16
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, digitsKept)
}

// note adds a latency; what is out of range counts as the nearest that is in it.
func note(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), leastLatency), mostLatency))
}

// A recorder takes what connections saw; a window of it is cut off and added to the whole as
// often as somebody wants to look.
type recorder struct {
	shards [shards]shard
	total  tally // touched by cut alone
}

type shard struct {
	mu sync.Mutex // guards what follows
	tally
	_ [64]byte // no shard shares a cache line with the next
}

// A tally is what was seen in some time.
type tally struct {
	latency *hdrhistogram.Histogram // of requests that were answered as wanted
	late    *hdrhistogram.Histogram // how late the load was itself, where a connection was free
	errors  map[string]int64
	first   string // the first error, in full
	unsent  int64
	last    time.Duration // when the last answer came
}

func newTally() tally {
	return tally{latency: newHistogram(), late: newHistogram(), errors: map[string]int64{}}
}

func newRecorder() *recorder {
	r := &recorder{total: newTally()}
	for i := range r.shards {
		r.shards[i].tally = newTally()
	}
	return r
}

func (r *recorder) shard(conn int) *shard { return &r.shards[conn%shards] }

func (s *shard) answered(took, at time.Duration, err error) {
	s.mu.Lock()
	if err == nil {
		note(s.latency, took)
	} else {
		s.fail(Kind(err), err.Error(), 1)
	}
	s.last = max(s.last, at)
	s.mu.Unlock()
}

// unanswered counts a request that was due and never sent, with the time it had waited.
func (s *shard) unanswered(waited time.Duration) {
	s.mu.Lock()
	note(s.latency, waited)
	s.unsent++
	s.mu.Unlock()
}

func (s *shard) wasLate(by time.Duration) {
	s.mu.Lock()
	note(s.late, by)
	s.mu.Unlock()
}

func (t *tally) fail(kind, full string, n int64) {
	if _, known := t.errors[kind]; !known && len(t.errors) >= maxKinds {
		kind = "other"
	}
	t.errors[kind] += n
	if t.first == "" {
		t.first = full
	}
}

func (t *tally) add(from *tally) {
	t.latency.Merge(from.latency)
	t.late.Merge(from.late)
	for kind, n := range from.errors {
		t.fail(kind, from.first, n)
	}
	t.unsent += from.unsent
	t.last = max(t.last, from.last)
}

// cut takes what came since the last cut, and adds it to the whole.
func (r *recorder) cut() *tally {
	window := newTally()
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		window.add(&s.tally)
		s.latency.Reset()
		s.late.Reset()
		clear(s.errors)
		s.first, s.unsent = "", 0
		s.mu.Unlock()
	}
	r.total.add(&window)
	return &window
}

func (t *tally) failed() (n int64) {
	for _, of := range t.errors {
		n += of
	}
	return n
}
