package actors

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// Associate moves a service from its owner to a customer: the only change over two customers.
//
// It holds both, which is to serve both mailboxes itself: what comes for them waits meanwhile,
// and finds the service at one of them or the other. Then it decides, applies to both, and
// appends both sides at once, so that there is no step between which a crash could fall. The
// two are held in one order over all owners, so that associations never wait for each other in
// a circle, however many run and whichever way they go.
//
// Nobody may be told of the answer, a refusal included, before the records up to watermark are
// on disk. NoService comes back also where the service has gone from source meanwhile.
func (d *Directory) Associate(ctx context.Context, e *conversation.ServiceAssociation, source, target conversation.Owner) (watermark uint64, err error) {
	first, second := source, target
	if compareOwners(second, first) < 0 {
		first, second = second, first
	}
	a, err := d.hold(ctx, first)
	if err != nil {
		return 0, err
	}
	defer a.release()
	b := a
	if second != first {
		if b, err = d.hold(ctx, second); err != nil {
			return 0, err
		}
		defer b.release()
	}
	if source == first {
		return associate(a.customer, b.customer, e)
	}
	return associate(b.customer, a.customer, e)
}

func compareOwners(a, b conversation.Owner) int {
	kind := func(o conversation.Owner) int {
		if o.Anonymous {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(kind(a), kind(b)), cmp.Compare(a.Key, b.Key))
}

// held is a customer whose mailbox is ours to serve, until release.
type held struct {
	customer *customer
	message  *Message
}

func (h held) release() { h.customer.release(h.message) }

// hold waits until the owner's customer is loaded and ours. When the context ends first,
// nothing is held.
func (d *Directory) hold(ctx context.Context, o conversation.Owner) (held, error) {
	m := NewMessage()
	m.task = hold
	if err := d.Send(o, m); err != nil {
		return held{}, err
	}
	if err := m.Await(ctx); err != nil {
		return held{}, err
	}
	h := held{customer: m.holder, message: m}
	if m.Err != nil {
		h.release()
		return held{}, m.Err
	}
	return h, nil
}

// associate is a turn of both customers.
func associate(source, target *customer, e *conversation.ServiceAssociation) (watermark uint64, err error) {
	d := source.shard.directory
	defer func() {
		if r := recover(); r != nil {
			d.opts.Logf("a fault while service %d went from %v to %v: %v\n%s",
				e.Service, source.domain.Owner, target.domain.Owner, r, debug.Stack())
			source.forget()
			target.forget()
			watermark, err = 0, fmt.Errorf("%w: %v", ErrFault, r)
		}
	}()
	now := d.opts.Now()
	for _, c := range []*customer{source, target} {
		if err := c.bring(e.Service); err != nil {
			return 0, err
		}
		c.letDue(now)
	}
	left, joined, err := conversation.DecideAssociation(&source.domain, &target.domain, e, source.stamp(now))
	if err != nil || len(left) == 0 {
		return max(source.watermark, target.watermark), err
	}
	source.apply(left)
	target.apply(joined)
	a := persist.Side{Unwritten: source.unwritten, Owner: source.domain.Owner, Records: left}
	b := persist.Side{Unwritten: target.unwritten, Owner: target.domain.Owner, Records: joined}
	watermark = d.store.AppendBoth(&a, &b)
	d.moves[uint64(e.Service)%shards].Add(1)
	source.unwritten, source.watermark = a.Unwritten, watermark
	target.unwritten, target.watermark = b.Unwritten, watermark
	source.endTurn()
	target.endTurn()
	return watermark, nil
}
