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
	o, found, err := e.store.OwnerOf(id)
	if err != nil {
		return nil, kind(err)
	}
	if !found {
		return nil, conversation.NoService(id)
	}
	services, err := e.read(ctx, o, actors.Read{Service: id})
	if err != nil {
		return nil, err
	}
	return services[0], nil
}

// CustomerServices reads a customer's services, oldest first; none is not an error.
func (e *Engine) CustomerServices(ctx context.Context, customerID string, p Phase) ([]*Service, error) {
	return e.services(ctx, conversation.Owner{Key: customerID}, p)
}

// AnonymousServices reads the services of a contact key that have no customer, oldest first.
func (e *Engine) AnonymousServices(ctx context.Context, contactKey string, p Phase) ([]*Service, error) {
	return e.services(ctx, conversation.Owner{Key: contactKey, Anonymous: true}, p)
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
func (e *Engine) read(ctx context.Context, o conversation.Owner, r actors.Read) (services []*Service, err error) {
	m := e.messages.Get().(*actors.Message)
	if err := e.ask(ctx, o, m.Read(r)); err != nil {
		return nil, err
	}
	services, completed, watermark, refusal := m.Services, m.Completed, m.Watermark, kind(m.Err)
	m.Services = nil // they may be many; the pool is not to keep them
	e.messages.Put(m)
	if completed != nil {
		defer func() { err = errors.Join(err, completed.Close()) }()
	}
	if err := e.safe(ctx, watermark); err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return withRows(ctx, services, completed)
}

// withRows adds the completed services that are on disk to those that were in memory, which
// are newer where there are both.
func withRows(ctx context.Context, services []*Service, rows *persist.Rows) ([]*Service, error) {
	if rows == nil {
		return services, nil
	}
	inMemory := make(map[ServiceID]bool, len(services))
	for _, s := range services {
		inMemory[s.ID] = true
	}
	for {
		s, _, err := rows.Next()
		if err != nil {
			return nil, kind(err)
		}
		if s == nil {
			return services, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%w: given up while reading: %w", ErrOverloaded, err)
		}
		if !inMemory[s.ID] {
			services = append(services, s)
		}
	}
}
