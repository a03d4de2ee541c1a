package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/switchboard-cs/switchboard/actors"
	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// Service reads a service, active or completed, with its states and tasks. The copy is the
// caller's; what it shows is safe on disk.
func (e *Engine) Service(ctx context.Context, id ServiceID) (*Service, error) {
	if err := e.enter(0); err != nil {
		return nil, err
	}
	defer e.leave(0)
	return e.serviceByID(ctx, id)
}

// serviceByID is for a request that enter has let in.
func (e *Engine) serviceByID(ctx context.Context, id ServiceID) (s *Service, err error) {
	err = e.byOwner(ctx, id, func(o conversation.Owner) error {
		services, err := e.read(ctx, o, actors.Read{Service: id})
		if err == nil {
			s = services[0]
		}
		return err
	})
	return s, err
}

// CustomerServices reads a customer's services, oldest first; none is not an error.
func (e *Engine) CustomerServices(ctx context.Context, customerID string, p Phase) ([]*Service, error) {
	return e.services(ctx, conversation.Owner{Tenant: e.tenant, Key: customerID}, p)
}

// AnonymousServices reads the services of a contact key that have no customer, oldest first.
func (e *Engine) AnonymousServices(ctx context.Context, contactKey string, p Phase) ([]*Service, error) {
	return e.services(ctx, conversation.Owner{Tenant: e.tenant, Key: contactKey, Anonymous: true}, p)
}

func (e *Engine) services(ctx context.Context, o conversation.Owner, p Phase) ([]*Service, error) {
	if err := e.enter(0); err != nil {
		return nil, err
	}
	defer e.leave(0)
	if len(o.Key) == 0 || len(o.Key) > persist.MaxKeyBytes {
		return nil, nil // nobody can have it
	}
	services, err := e.read(ctx, o, actors.Read{Active: p != Completed, Completed: p != Active})
	slices.SortFunc(services, func(a, b *Service) int {
		return cmp.Or(cmp.Compare(a.Started, b.Started), cmp.Compare(a.ID, b.ID))
	})
	return services, err
}

// read is for a request that enter has let in.
func (e *core) read(ctx context.Context, o conversation.Owner, r actors.Read) (services []*Service, err error) {
	m := e.messages.Get().(*actors.Message)
	if err := e.ask(ctx, o, m.Read(r)); err != nil {
		return nil, err
	}
	services, refusal, watermark := m.Services, kind(m.Err), m.Watermark
	rows := completedRows{owner: o, rows: m.Completed, now: m.Now, timers: e.opts.timers(), skip: m.Gone}
	m.Services, m.Gone = nil, nil // they may be many; the pool is not to keep them
	e.messages.Put(m)
	if rows.rows != nil {
		defer func() { err = errors.Join(err, rows.rows.Close()) }()
	}
	if err := e.safe(ctx, watermark); err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return rows.addTo(ctx, services)
}

// completedRows are the completed services of an owner that are on disk, as they were in its
// turn.
type completedRows struct {
	owner  conversation.Owner
	rows   *persist.Rows // nil where none were asked for
	now    Instant
	timers conversation.Timers
	skip   []ServiceID // they are gone, and their rows not yet
}

// addTo adds them to those that were in memory, which are newer where there are both.
func (c *completedRows) addTo(ctx context.Context, services []*Service) ([]*Service, error) {
	if c.rows == nil {
		return services, nil
	}
	known := make(map[ServiceID]bool, len(services)+len(c.skip))
	for _, s := range services {
		known[s.ID] = true
	}
	for _, id := range c.skip {
		known[id] = true
	}
	for {
		s, _, err := c.rows.Next()
		if err != nil {
			return nil, kind(err)
		}
		if s == nil {
			return services, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%w: given up while reading: %w", ErrOverloaded, err)
		}
		if known[s.ID] {
			continue
		}
		if s = s.At(c.now, c.owner, c.timers); s != nil {
			services = append(services, s)
		}
	}
}
