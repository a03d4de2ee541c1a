package engine

import (
	"context"
	"fmt"

	"github.com/switchboard-cs/switchboard/actors"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// CompositeStart finds or creates, for each item, the service, the state and the task, and
// appends what was found or created to outcomes, in the order of the items.
//
// All items are checked before anything is done; one that is wrong refuses the request, as
// an *Error that names its place. Then they take effect one after the other, each seeing what
// those before it created. They are not one transaction: after an error other than a refusal
// of the check, items before the failing one may have taken effect, and sending the request
// again finds them. However many identical requests arrive at once, exactly one creates.
//
// It returns once every answer is on disk. When ctx ends earlier, ErrUnknownOutcome comes
// back. Items must not change until it returns; it keeps nothing of them but strings.
func (e *Engine) CompositeStart(ctx context.Context, items []Composite, outcomes []Outcome) ([]Outcome, error) {
	bytes, err := e.checkItems(items)
	if err != nil {
		return outcomes, err
	}
	if err := e.enter(bytes); err != nil {
		return outcomes, err
	}
	defer e.leave(bytes)
	if err := e.room(ctx); err != nil {
		return outcomes, err
	}

	m := e.messages.Get().(*actors.Message)
	watermark := uint64(0)
	for i := range items {
		if err := e.ask(ctx, items[i].Service.Owner(e.tenant), m.Decide(&items[i])); err != nil {
			if watermark > 0 {
				err = fmt.Errorf("%w: item %d: %w", ErrUnknownOutcome, i, err)
			}
			return outcomes, err // m stays with the actor
		}
		watermark = max(watermark, m.Watermark)
		if m.Err != nil {
			err = conversation.Under(itemPlace(i), kind(m.Err))
			break
		}
		outcomes = append(outcomes, m.Outcome)
	}
	e.messages.Put(m)
	if unsafe := e.safe(ctx, watermark); unsafe != nil {
		return outcomes, unsafe
	}
	return outcomes, err
}

// room waits for room in the journal, and refuses when the disk is full.
func (e *core) room(ctx context.Context) error {
	err := e.store.RoomFor(ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: the journal waits for its rows: %w", ErrOverloaded, err)
	}
	return err
}

func itemPlace(i int) string { return fmt.Sprintf("services[%d]", i) }
