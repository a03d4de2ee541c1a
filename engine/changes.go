package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/switchboard-cs/switchboard/actors"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The operations that change what was started. Each returns once its answer is safe on disk;
// all but Transition may be repeated after ErrUnknownOutcome.

// Associate moves a service, active or completed, to a customer and updates it by what
// a.Update carries: what is absent there stays, common fields and extensions are replaced by
// name. Its id keeps leading to it all the while. Where it is that customer's already, nothing
// changes, and nothing is updated.
func (e *Engine) Associate(ctx context.Context, a *ServiceAssociation) error {
	if err := e.checkAssociation(a); err != nil {
		return err
	}
	bytes := int64(len(a.Update.Details))
	if err := e.enter(bytes); err != nil {
		return err
	}
	defer e.leave(bytes)
	return e.byOwner(ctx, a.Service, func(o conversation.Owner) error {
		if err := e.room(ctx); err != nil {
			return err
		}
		watermark, err := e.directory.Associate(ctx, a, o, conversation.Owner{Tenant: e.tenant, Key: a.CustomerID})
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) || errors.Is(err, actors.ErrBusy) {
			return fmt.Errorf("%w: associate service %d: %w", ErrOverloaded, a.Service, err)
		}
		if unsafe := e.safe(ctx, watermark); unsafe != nil {
			return unsafe
		}
		return kind(err)
	})
}

// DeleteService removes a service with its states and tasks.
func (e *Engine) DeleteService(ctx context.Context, id ServiceID) error {
	_, err := e.decideBy(ctx, id, &conversation.ServiceDeletion{Service: id}, 0)
	return err
}

// SetExpiration sets when a service expires: from then on it is gone. One of TTL and
// ExpirationTime is mandatory, and TTL wins.
func (e *Engine) SetExpiration(ctx context.Context, x *ServiceExpiration) error {
	if err := checkExpiration(x.TTL, x.ExpirationTime); err != nil {
		return err
	}
	if x.TTL == 0 && x.ExpirationTime == 0 {
		return wrong("ttl", "mandatory where there is no expiration_time, and both are missing")
	}
	_, err := e.decideBy(ctx, x.Service, x, 0)
	return err
}

// Transition ends one state, which must be active, and starts the next, in one step: both or
// neither. It returns the id of the new one, whose Previous is the one that ended.
func (e *Engine) Transition(ctx context.Context, t *StateTransition) (int32, error) {
	if err := e.checkTransition(t); err != nil {
		return 0, err
	}
	out, err := e.decideBy(ctx, t.Service, t, len(t.Ended)+len(t.Started))
	return out.State, err
}

// SetExtension replaces an extension of a service, a state or a task, or merges an object into
// it. Merging into an extension that is no object is an *Error of kind ErrInvalid, and changes
// nothing; merging into none makes it.
func (e *Engine) SetExtension(ctx context.Context, x *ExtensionChange) error {
	value, err := e.checkExtension(x)
	if err != nil {
		return err
	}
	change := *x
	change.JSON = value
	_, err = e.decideBy(ctx, x.Service, &change, len(x.Name)+len(value))
	return err
}
