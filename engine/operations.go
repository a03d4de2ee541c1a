package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/switchboard-cs/switchboard/actors"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The single starts and ends. Each returns once its answer is safe on disk; when ctx ends
// before that, ErrUnknownOutcome comes back: an end may then be repeated, a start may start
// a second one. States and tasks may be started under a completed service.

// StartService starts a service, also where one of its type is active.
func (e *Engine) StartService(ctx context.Context, s *ServiceStart) (ServiceID, error) {
	if err := e.checkService(s); err != nil {
		return 0, err
	}
	out, err := e.decide(ctx, s.Owner(e.tenant), s, len(s.Details))
	return out.Service, err
}

// StartState starts a state of a service and returns its id, which is unique in the service.
func (e *Engine) StartState(ctx context.Context, s *StateStart) (int32, error) {
	if err := e.checkState(s); err != nil {
		return 0, err
	}
	out, err := e.decideBy(ctx, s.Service, s, len(s.Details))
	return out.State, err
}

// StartTask starts a task of a service and returns its id, which is unique in the service.
func (e *Engine) StartTask(ctx context.Context, t *TaskStart) (int32, error) {
	if err := e.checkTask(t); err != nil {
		return 0, err
	}
	out, err := e.decideBy(ctx, t.Service, t, len(t.Details))
	return out.Task, err
}

// EndService completes a service and, at the same instant, its active states and tasks.
// Ending what is ended already changes nothing; so it is for the other two.
func (e *Engine) EndService(ctx context.Context, s *ServiceEnd) error {
	if err := e.checkExtensions(s.Details); err != nil {
		return err
	}
	if err := checkExpiration(s.TTL, s.ExpirationTime); err != nil {
		return err
	}
	_, err := e.decideBy(ctx, s.Service, s, len(s.Details))
	return err
}

// EndState completes a state; its tasks stay as they are.
func (e *Engine) EndState(ctx context.Context, s *StateEnd) error {
	if err := e.checkExtensions(s.Details); err != nil {
		return err
	}
	_, err := e.decideBy(ctx, s.Service, s, len(s.Details))
	return err
}

// EndTask completes a task.
func (e *Engine) EndTask(ctx context.Context, t *TaskEnd) error {
	if err := e.checkExtensions(t.Details); err != nil {
		return err
	}
	_, err := e.decideBy(ctx, t.Service, t, len(t.Details))
	return err
}

// decideBy has an event on a service decided by whoever it belongs to.
func (e *Engine) decideBy(ctx context.Context, id ServiceID, ev conversation.Event, bytes int) (out Outcome, err error) {
	if err := e.enter(int64(bytes)); err != nil {
		return Outcome{}, err
	}
	defer e.leave(int64(bytes))
	err = e.byOwner(ctx, id, func(o conversation.Owner) error {
		out, err = e.admitted(ctx, o, ev)
		return err
	})
	return out, err
}

// byOwner asks whoever a service belongs to. Where it has gone to a customer between looking it
// up and asking, it is looked up again: an id leads to its service all the while.
func (e *Engine) byOwner(ctx context.Context, id ServiceID, ask func(conversation.Owner) error) error {
	for {
		moves := e.directory.Moves(id)
		o, found, err := e.store.OwnerOf(id)
		if err != nil {
			return kind(err)
		}
		if !found {
			err = e.seen(ctx)
		}
		if err == nil && (!found || o.Tenant != e.tenant) {
			err = conversation.NoService(id)
		}
		if err != nil {
			return err
		}
		if err = ask(o); !errors.Is(err, ErrNotFound) || e.directory.Moves(id) == moves {
			return err
		}
	}
}

// seen returns once everything is safe that rows may have shown up to now: Pebble shows a batch
// before it is synced.
func (e *core) seen(ctx context.Context) error {
	if err := e.store.Sync(ctx); err != nil {
		return fmt.Errorf("%w: given up before what was seen is safe: %w", ErrOverloaded, err)
	}
	return nil
}

func (e *Engine) decide(ctx context.Context, o conversation.Owner, ev conversation.Event, bytes int) (Outcome, error) {
	if err := e.enter(int64(bytes)); err != nil {
		return Outcome{}, err
	}
	defer e.leave(int64(bytes))
	return e.admitted(ctx, o, ev)
}

// admitted has an event decided that enter has let in, and returns once that is on disk.
func (e *core) admitted(ctx context.Context, o conversation.Owner, ev conversation.Event) (Outcome, error) {
	out, watermark, refusal := e.decided(ctx, o, ev)
	if watermark > 0 {
		if err := e.safe(ctx, watermark); err != nil {
			return Outcome{}, err
		}
	}
	return out, refusal
}

// decided is admitted without the wait: nobody may be told of what comes back, a refusal
// included, before everything up to watermark is safe.
func (e *core) decided(ctx context.Context, o conversation.Owner, ev conversation.Event) (out Outcome, watermark uint64, err error) {
	if err := e.room(ctx); err != nil {
		return Outcome{}, 0, err
	}
	m := e.messages.Get().(*actors.Message)
	if err := e.ask(ctx, o, m.Decide(ev)); err != nil {
		return Outcome{}, 0, err
	}
	out, watermark, err = m.Outcome, m.Watermark, kind(m.Err)
	e.messages.Put(m)
	return out, watermark, err
}
