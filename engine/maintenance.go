package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

const (
	// walkStep is how many ids a walk looks at in one step: a few milliseconds.
	walkStep = 256
	// batchBytes of details from which a batch of an export takes no further service.
	batchBytes = 1 << 20
)

// Purge says which services to remove.
type Purge struct {
	Limit     Instant // started strictly before it; mandatory
	Phase     Phase
	Anonymous bool // only those without a customer
}

// Purge removes the services that match and were there when it began, and counts them. It runs
// in small steps beside all other requests; when ctx ends before it is done, what was removed
// stays removed, and calling it again goes on.
func (e *Engine) Purge(ctx context.Context, p Purge) (removed int, err error) {
	if p.Limit == 0 {
		return 0, wrong("limit", "mandatory, and missing")
	}
	for walk := e.store.NewScan(); ; {
		n, done, err := e.purgeStep(ctx, walk, p)
		removed += n
		if err != nil || done {
			return removed, err
		}
	}
}

// purgeStep removes what matches of the next ids, and returns when that is on disk.
func (e *Engine) purgeStep(ctx context.Context, walk *persist.Scan, p Purge) (removed int, done bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, fmt.Errorf("%w: given up while purging: %w", ErrOverloaded, err)
	}
	if err := e.enter(0); err != nil {
		return 0, false, err
	}
	defer e.leave(0)
	ids, err := walk.Next(walkStep)
	for i := 0; i < len(ids) && err == nil; i++ {
		var did bool
		if did, err = e.purgeOne(ctx, ids[i], p); did {
			removed++
		}
	}
	return removed, len(ids) == 0, errors.Join(kind(err), e.seen(ctx))
}

// purgeOne removes a service if it matches. That may not yet be safe.
func (e *Engine) purgeOne(ctx context.Context, id ServiceID, p Purge) (removed bool, err error) {
	s, err := e.peek(ctx, id)
	if err == nil && s.Started < p.Limit { // the rest its owner decides
		event := conversation.ServicePurge{Service: id, Limit: p.Limit, Phase: p.Phase, Anonymous: p.Anonymous}
		err = e.byOwner(ctx, id, func(o conversation.Owner) error {
			out, _, err := e.decided(ctx, o, &event)
			removed = out.Service != 0
			return err
		})
	}
	if errors.Is(err, ErrNotFound) { // gone is what was wanted
		err = nil
	}
	return removed, err
}

// Filter says which services an Export gives: those with an event of Events in the window that
// are in Phase.
type Filter struct {
	From   Instant // at or after it; mandatory
	To     Instant // strictly before it; zero: up to now, and with it
	Events Events
	Phase  Phase
}

// Events selects the events that Filter's window is for.
type Events uint8

// The events of a service.
const (
	AnyEvent Events = iota
	Started
	Ended
)

func (f *Filter) matches(s *Service) bool {
	in := func(at Instant) bool { return at >= f.From && at < f.To }
	started := f.Events != Ended && in(s.Started)
	ended := f.Events != Started && s.Completed != nil && in(s.Completed.At)
	return (started || ended) && f.Phase.Holds(s.Completed != nil)
}

// Export gives the services that match f, one batch after the other, in the order of their ids.
// Each that is there from the beginning to the end comes exactly once; one that is made or
// removed meanwhile may come.
func (e *Engine) Export(f Filter) *Export {
	if f.To == 0 {
		f.To = At(e.opts.Now()) + 1
	}
	return &Export{engine: e, filter: f, walk: e.store.NewScan()}
}

// Export is one walk over everything stored. It holds no view of the store between two
// batches, so it may stop for any time, and needs no closing. One goroutine may use it.
type Export struct {
	engine *Engine
	filter Filter
	walk   *persist.Scan
	ids    []ServiceID // of the current step, not yet looked at
}

// Next gives the next batch, with states and tasks: at most 256 services, possibly none. done
// tells that it was the last one. After an error the export cannot go on.
func (x *Export) Next(ctx context.Context) (services []*Service, done bool, err error) {
	e := x.engine
	if x.filter.From == 0 {
		return nil, false, wrong("time_from", "mandatory, and missing")
	}
	if err := e.enter(0); err != nil {
		return nil, false, err
	}
	defer e.leave(0)
	if len(x.ids) == 0 {
		if x.ids, err = x.walk.Next(walkStep); err != nil || len(x.ids) == 0 {
			return nil, true, errors.Join(kind(err), e.seen(ctx))
		}
	}
	for bytes := 0; len(x.ids) > 0 && bytes < batchBytes; x.ids = x.ids[1:] {
		s, err := e.peek(ctx, x.ids[0])
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, false, err
		case x.filter.matches(s):
			services = append(services, s)
			bytes += s.Bytes
		}
	}
	if err := e.seen(ctx); err != nil {
		return nil, false, err
	}
	return services, false, nil
}

// peek reads a service without waking its owner, where that sleeps: a walk over everything is
// not to push those out of memory whom somebody talks to. What it gives may not yet be safe.
func (e *Engine) peek(ctx context.Context, id ServiceID) (*Service, error) {
	o, found, err := e.store.OwnerOf(id)
	if err != nil {
		return nil, kind(err)
	}
	if !found || o.Tenant != e.tenant {
		return nil, conversation.NoService(id)
	}
	if e.directory.Asleep(o) {
		s, err := e.store.ServiceRow(o, id)
		if err != nil {
			return nil, kind(err)
		}
		if s != nil {
			if s = s.At(At(e.opts.Now()), o, e.opts.timers()); s == nil {
				err = conversation.NoService(id)
			}
			return s, err
		}
	}
	return e.serviceByID(ctx, id)
}
