package bench

import (
	"errors"
	"sync"
	"syscall"
	"time"
)

// Load says how requests are put on a target.
type Load struct {
	Connections int
	Rate        float64 // requests a second at even distances, whatever the answers do; 0: each connection sends when it was answered
	Warmup      time.Duration
	Duration    time.Duration // behind Warmup
}

// A clock tells the time since the run began.
type clock interface {
	now() time.Duration
	until(t time.Duration) // waits
}

// wall is the machine's clock.
type wall struct{ began time.Time }

func (w wall) now() time.Duration { return time.Since(w.began) }

// until sleeps in the kernel: the runtime's timers are up to a millisecond late on an idle
// machine, and that would count as the target's latency.
func (w wall) until(t time.Duration) {
	for left := t - w.now(); left > 0; left = t - w.now() {
		pause := syscall.NsecToTimespec(int64(left))
		_ = syscall.Nanosleep(&pause, nil) // a signal ends it early
	}
}

// afterBroken keeps a connection that broke from being dialled without a pause.
const afterBroken = 10 * time.Millisecond

// worker is one connection's loop.
type worker struct {
	load  *Load
	clock clock
	conn  Conn
	make  *Generator
	shard *shard
	pace  *pace
}

// closed sends a request as soon as the one before is answered.
func (w *worker) closed(stop <-chan struct{}) {
	end := w.load.Warmup + w.load.Duration
	for !stopped(stop) {
		r := w.make.Next()
		start := w.clock.now()
		if start >= end {
			return
		}
		w.do(r, start)
	}
}

// open sends the next request that is due, whichever connection is free. Its latency counts from
// when it was due: so it includes what it waited for a connection behind others.
func (w *worker) open(stop <-chan struct{}) {
	for !stopped(stop) {
		r := w.make.Next()
		due, ok := w.pace.next(w)
		if !ok {
			return
		}
		w.do(r, due)
	}
}

func (w *worker) do(r *Request, start time.Duration) {
	err := w.conn.Do(r)
	done := w.clock.now()
	if starter, ok := w.conn.(Starter); ok {
		w.make.Heard(starter.Started(), err)
	}
	if start >= w.load.Warmup {
		w.shard.answered(done-start, done, err)
	}
	if err != nil && !inStep(err) {
		w.clock.until(done + afterBroken)
	}
}

// inStep tells that the request was answered, and the connection can go on.
func inStep(err error) bool {
	var status *StatusError
	return errors.As(err, &status) || errors.Is(err, ErrFound) || errors.Is(err, ErrCreated)
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// pace gives out when requests are due, to one connection after the other. Who has its turn
// sleeps, and the others wait for their turn.
type pace struct {
	turn sync.Mutex // guards sent, and the right to sleep
	sent int64
}

// next is when the worker's request is due; false once none is due any more.
func (p *pace) next(w *worker) (due time.Duration, ok bool) {
	end := w.load.Warmup + w.load.Duration
	p.turn.Lock()
	defer p.turn.Unlock()
	for {
		due = time.Duration(float64(p.sent) / w.load.Rate * float64(time.Second))
		if due >= end {
			return 0, false
		}
		p.sent++
		now := w.clock.now()
		switch {
		case now >= end: // no time left to send what is due
			if due >= w.load.Warmup {
				w.shard.unanswered(now - due)
			}
			continue
		case now < due:
			w.clock.until(due)
			if due >= w.load.Warmup {
				w.shard.wasLate(w.clock.now() - due)
			}
		}
		return due, true
	}
}
