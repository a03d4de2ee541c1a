package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

const (
	// sleepShare is how many customers the sleeper asks in one step: so few that a step is
	// short, so many that it keeps up with any rate of waking.
	sleepShare = 256
)

// keepRetry is how long the keeper rests when it could write no rows though the tail is long:
// nothing else would wake it, since at the tail's bound nothing is appended.
const keepRetry = time.Second

// keep is the one goroutine that works by itself: it writes rows while the journal's tail is
// long, and lets customers sleep while they take too much memory, a step of each in turn.
func (d *Directory) keep(ctx context.Context) {
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.store.Pressure():
		case <-d.full:
		case <-retry:
		}
		for worked := true; worked && ctx.Err() == nil; {
			worked = false
			if d.store.Pressed() {
				written, err := d.WriteRows(ctx)
				worked = written > 0
				if err != nil && ctx.Err() == nil {
					d.opts.Logf("%v", err)
				}
			}
			if d.bytes.Load() > d.opts.AwakeBytes {
				worked = d.Sleep(ctx) || worked
			}
		}
		retry = nil
		if d.store.Pressed() {
			retry = time.After(keepRetry)
		}
	}
}

// WriteRows is one step: the customers that have waited longest hand over their rows, and it
// returns when these are on disk, with the number of customers. Its share is a little more
// than what a frame brings, so that the tail shrinks and no answer waits long behind rows. One
// who cannot is passed over, with an error.
func (d *Directory) WriteRows(ctx context.Context) (written int, err error) {
	owners := d.store.Oldest()
	if len(owners) == 0 {
		d.store.WriteRows(nil, nil) // a frame, so that the journal is cut up to it
	}
	for _, o := range owners {
		if failed := d.ask(ctx, o, writeRows); failed != nil {
			err = errors.Join(err, fmt.Errorf("write the rows of %v: %w", o, failed))
		} else {
			written++
		}
	}
	return written, errors.Join(err, d.store.Sync(ctx))
}

// writeAll writes the rows of everybody, so that the journal's tail is empty.
func (d *Directory) writeAll(ctx context.Context) error {
	for {
		written, err := d.WriteRows(ctx)
		if written == 0 {
			return err
		}
	}
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
