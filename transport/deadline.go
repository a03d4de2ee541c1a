package transport

import (
	"context"
	"sync"
	"time"
)

// deadline is the context of one request: it ends at a time, and carries nothing else.
// context.WithTimeout is that too, for six allocations a request; a deadline whose timer did
// not fire is used again.
type deadline struct {
	at    time.Time
	timer *time.Timer
	done  chan struct{}
}

func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }
func (d *deadline) Done() <-chan struct{}       { return d.done }
func (d *deadline) Value(any) any               { return nil }

func (d *deadline) Err() error {
	select {
	case <-d.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// deadlines hands out contexts that end after a fixed time.
type deadlines struct {
	after time.Duration
	now   func() time.Time
	free  sync.Pool // of *deadline whose timer is stopped and whose channel is open
}

func (ds *deadlines) start() *deadline {
	at := ds.now().Add(ds.after)
	if d, ok := ds.free.Get().(*deadline); ok {
		d.at = at
		d.timer.Reset(ds.after)
		return d
	}
	d := &deadline{at: at, done: make(chan struct{})}
	d.timer = time.AfterFunc(ds.after, func() { close(d.done) })
	return d
}

// stop ends the use of d. One whose timer fired is left to the collector: its channel is
// closed, or about to be.
func (ds *deadlines) stop(d *deadline) {
	if d.timer.Stop() {
		ds.free.Put(d)
	}
}
