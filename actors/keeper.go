package actors

import (
	"context"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

const (
	// sleepShare is how many customers the sleeper asks in one step: so few that a step is
	// short, so many that it keeps up with any rate of waking.
	sleepShare = 256
)

// keep is the one goroutine that works by itself: it writes rows while the journal's tail is
// long, and lets customers sleep while they take too much memory. Each step of both can be
// called by a test.
func (d *Directory) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.store.Pressure():
			for d.store.Pressed() && ctx.Err() == nil && d.WriteRows(ctx) > 0 {
			}
		case <-d.full:
			for d.bytes.Load() > d.opts.AwakeBytes && ctx.Err() == nil && d.Sleep(ctx) {
			}
		}
	}
}

// WriteRows is one step: the customers that have waited longest hand over their rows, and it
// returns when these are on disk, with the number of customers. Its share is a little more
// than what came in since the last one, so that the tail shrinks and no answer waits long
// behind rows.
func (d *Directory) WriteRows(ctx context.Context) int {
	owners := d.store.Oldest()
	for _, o := range owners {
		if err := d.ask(ctx, o, writeRows); err != nil {
			d.opts.Logf("write the rows of %v: %v", o, err)
			return 0
		}
	}
	if err := d.store.Sync(ctx); err != nil {
		return 0
	}
	return len(owners)
}

// writeAll writes the rows of everybody, so that the journal's tail is empty.
func (d *Directory) writeAll(ctx context.Context) error {
	for d.WriteRows(ctx) > 0 {
	}
	return ctx.Err()
}

// Sleep is one step: it goes over some of the shards and sends to sleep who has not been used
// since it last came by; the others it only marks. One whose rows are not written hands them
// over now and sleeps at a later step. False when nobody is left to ask.
func (d *Directory) Sleep(ctx context.Context) bool {
	asked := 0
	for range 2 * shards { // the second round finds unmarked whom the first has marked
		s := &d.shards[d.hand]
		d.hand = (d.hand + 1) % shards
		for _, o := range s.unused(sleepShare) {
			if err := d.ask(ctx, o, fallAsleep); err != nil {
				d.opts.Logf("put %v to sleep: %v", o, err)
				return false
			}
			asked++
		}
		if asked >= sleepShare || d.bytes.Load() <= d.opts.AwakeBytes {
			break
		}
	}
	return asked > 0 && d.store.Sync(ctx) == nil
}

// unused picks customers that were not used since the last visit, at most limit.
func (s *shard) unused(limit int) []conversation.Owner {
	s.mu.Lock()
	defer s.mu.Unlock()
	var owners []conversation.Owner
	for o, c := range s.customers {
		if c.used.Swap(false) {
			continue
		}
		if owners = append(owners, o); len(owners) == limit {
			break
		}
	}
	return owners
}

// ask has a customer do a task and waits until it has.
func (d *Directory) ask(ctx context.Context, o conversation.Owner, t task) error {
	if d.errand == nil {
		d.errand = NewMessage()
	}
	m := d.errand
	m.reset()
	m.task = t
	if err := d.Send(o, m); err != nil {
		return err
	}
	if err := m.Await(ctx); err != nil {
		d.errand = nil // it stays in the mailbox
		return err
	}
	return m.Err
}
