package bench

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// grace is how long after the end answers are waited for: past any server's deadline.
	grace = 10 * time.Second
	// preparedTogether is how many customers one request creates before the run.
	preparedTogether = 16
	// A second is as often as somebody can read the progress; short runs are cut into tenths.
	progressEvery = time.Second
	// MaxConnections is what one machine's ports and memory surely hold.
	MaxConnections = 16_384
)

// Subject is a target with what a run keeps about it from round to round.
type Subject struct {
	Target   Target
	workload Workload
	makers   []*Generator
	prepared bool
	progress io.Writer
}

// NewSubject makes one. Progress, which may be nil, takes a line that is written over.
func NewSubject(t Target, w Workload, progress io.Writer) *Subject {
	return &Subject{Target: t, workload: w, prepared: w.Prepared, progress: progress}
}

// Check refuses what makes no sense, naming the field as the command line does.
func (l Load) Check() error {
	switch {
	case l.Connections < 1 || l.Connections > MaxConnections:
		return fmt.Errorf("connections must be from 1 to %d, not %d", MaxConnections, l.Connections)
	case l.Rate < 0 || l.Rate > 0 && l.Rate < 0.1 || l.Rate > 1e7:
		return fmt.Errorf("rate must be 0 or from 0.1 to 10000000 a second, not %v", l.Rate)
	case l.Warmup < 0 || l.Warmup > time.Hour:
		return fmt.Errorf("warmup must be from 0s to 1h, not %v", l.Warmup)
	case l.Duration < 10*time.Millisecond || l.Duration > 24*time.Hour:
		return fmt.Errorf("duration must be from 10ms to 24h, not %v", l.Duration)
	}
	return nil
}

// Run puts a load on the target once. It prepares the customers that are to be found the first
// time. Refused requests are counted and are no error; that nothing can be asked is one.
func (s *Subject) Run(ctx context.Context, l Load) (*Round, error) {
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	conns, err := s.dial(asking, l.Connections)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	if !s.prepared {
		if err := s.prepare(ctx, conns); err != nil {
			return nil, err
		}
		s.prepared = true
	}
	w := newWatch(s, l)
	giveUp := time.AfterFunc(l.Warmup+l.Duration+grace, cancel)
	defer giveUp.Stop()
	var running sync.WaitGroup
	pace := new(pace)
	for i, c := range conns {
		worker := worker{&l, w.clock, c, s.makers[i], w.recorder.shard(i), pace}
		if l.Rate > 0 {
			running.Go(func() { worker.open(ctx.Done()) })
		} else {
			running.Go(func() { worker.closed(ctx.Done()) })
		}
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	w.follow(ctx, done)
	if err := ctx.Err(); err != nil {
		cancel()
		<-done
		return nil, fmt.Errorf("%s: cut off: %w", s.Target.Name(), err)
	}
	return w.round(), nil
}

func (s *Subject) dial(ctx context.Context, n int) (conns []Conn, err error) {
	for i := range n {
		c, err := s.Target.Dial(ctx)
		if err != nil {
			return conns, fmt.Errorf("%s: %w", s.Target.Name(), err)
		}
		conns = append(conns, c)
		if _, tells := c.(Starter); !tells && s.workload.Name == "conversation" {
			return conns, fmt.Errorf("%s cannot hold a conversation: it does not tell the ids of services", s.Target.Name())
		}
		if i >= len(s.makers) {
			s.makers = append(s.makers, s.workload.Generator(i))
		}
	}
	return conns, nil
}

// prepare creates the customers that the workload finds, over all connections.
func (s *Subject) prepare(ctx context.Context, conns []Conn) error {
	known := s.workload.known()
	if known > 0 && s.progress != nil {
		fmt.Fprintf(s.progress, "\r\033[K%s: creating %d customers to be found", s.Target.Name(), known)
	}
	var running sync.WaitGroup
	failed := make([]error, len(conns))
	for i, c := range conns {
		running.Go(func() {
			for first := i * preparedTogether; first < known && ctx.Err() == nil; first += len(conns) * preparedTogether {
				if err := c.Do(s.makers[i].Prepare(first, min(first+preparedTogether, known))); err != nil {
					failed[i] = fmt.Errorf("%s: create customers %d and on, to be found: %w", s.Target.Name(), first, err)
					return
				}
			}
		})
	}
	running.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// watch looks at a run from outside: window by window, and at the server's process.
type watch struct {
	subject  *Subject
	load     Load
	clock    wall
	recorder *recorder
	pid      int // 0 where the process is not ours to see
	every    time.Duration
	points   []Point
	first    Usage // when the warm-up was over
	last     Usage
	own      time.Duration // CPU of this process up to then
	at       time.Duration // of the last cut
}

func newWatch(s *Subject, l Load) *watch {
	w := &watch{subject: s, load: l, recorder: newRecorder(), every: min(progressEvery, l.Duration/10), clock: wall{time.Now()}}
	if local, ok := s.Target.(Local); ok {
		w.pid = local.PID()
	}
	return w
}

// follow cuts windows until all connections are done.
func (w *watch) follow(ctx context.Context, done <-chan struct{}) {
	warm := time.NewTimer(w.load.Warmup)
	defer warm.Stop()
	select {
	case <-warm.C:
	case <-done: // there was nothing to do behind the warm-up
	case <-ctx.Done():
		return
	}
	w.at = w.clock.now()
	w.first, w.own = w.usage(), ownCPU()
	w.last = w.first
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	shown := time.Duration(0)
	for {
		select {
		case <-tick.C:
			w.cut()
			if now := w.clock.now(); w.subject.progress != nil && now-shown >= progressEvery {
				shown = now
				w.show(now)
			}
		case <-done:
			w.cut()
			w.own = ownCPU() - w.own
			if w.subject.progress != nil {
				fmt.Fprint(w.subject.progress, "\r\033[K")
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) usage() Usage {
	if w.pid == 0 {
		return Usage{}
	}
	u, err := UsageOf(w.pid)
	if err != nil {
		w.pid = 0 // it is gone; the requests tell so as well
		return w.last
	}
	return u
}

func (w *watch) cut() {
	now, window, u := w.clock.now(), w.recorder.cut(), w.usage()
	long, before := (now - w.at).Seconds(), w.last
	w.last = u
	if long < w.every.Seconds()/2 && len(w.points) > 0 {
		return // what is left at the end is too short to tell a rate
	}
	answered := window.latency.TotalCount() - window.unsent
	w.points = append(w.points, Point{
		At:      (now - w.load.Warmup).Seconds(),
		Long:    long,
		Rate:    float64(answered) / long,
		P99:     milliseconds(window.latency.ValueAtPercentile(99)),
		Errors:  window.failed(),
		CPU:     (u.CPU - before.CPU).Seconds() / long,
		Memory:  u.Memory,
		Written: u.Written - before.Written,
	})
	w.at = now
}

// show writes the progress over the last one.
func (w *watch) show(now time.Duration) {
	p := w.points[len(w.points)-1]
	left := max(0, w.load.Warmup+w.load.Duration-now)
	fmt.Fprintf(w.subject.progress, "\r\033[K%s: %v left, %.0f/s, p99 %.2f ms, %d errors",
		w.subject.Target.Name(), left.Round(time.Second), p.Rate, p.P99, w.recorder.total.failed())
}
