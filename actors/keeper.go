package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

const (
	// sweepEvery is how often the keeper looks after what is due. Nothing that can be seen waits
	// for it: what is due has happened for whoever asks. It looks after rows again, too, where a
	// step has failed.
	sweepEvery = time.Second
	// lookShare is how many rows are looked at in one step, for whose they are.
	lookShare = 8_192
	// sweepShare is how many due rows are followed in one step.
	sweepShare = 256
	// sleepShare is how many customers the sleeper asks in one step: so few that a step is
	// short, so many that it keeps up with any rate of waking.
	sleepShare = 256
)

// keep is the one goroutine that works by itself: it writes rows while the journal's tail is
// long, lets customers sleep while they take too much memory, looks who has rows after a start,
// follows what is due, and empties what is left of old frames, a step of each in turn.
func (d *Directory) keep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		due, looking, emptying := false, false, false
		select {
		case <-ctx.Done():
			return
		case <-d.store.Pressure():
		case <-d.full:
		case <-tick.C:
			due, looking, emptying = true, true, true
		}
		for worked := true; worked && ctx.Err() == nil; {
			worked = false
			if d.store.Pressed() {
				written, err := d.WriteRows(ctx)
				worked = written > 0
				d.complain(ctx, err)
			}
			if d.bytes.Load() > d.opts.AwakeBytes {
				worked = d.Sleep(ctx) || worked
			}
			if looking {
				more, err := d.store.Look(lookShare)
				looking = more
				worked = more || worked
				d.complain(ctx, err)
			}
			if due {
				followed, err := d.Sweep(ctx)
				due = followed == sweepShare
				worked = due || worked
				d.complain(ctx, err)
			}
			if emptying {
				more, err := d.Empty(ctx)
				emptying = more
				worked = more || worked
				d.complain(ctx, err)
			}
		}
	}
}

// complain tells the operator of a step that failed; the next one tries again.
func (d *Directory) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		d.opts.Logf("%v", err)
	}
}

// Sweep is one step: it follows the next due rows up to now, the oldest first, and returns when
// what was due of them has happened and is on disk, with their number. One that cannot be
// followed is passed over, with an error. Where the timers are not those of the last time, due
// rows are first written anew, so many in a step.
func (d *Directory) Sweep(ctx context.Context) (followed int, err error) {
	d.step.Lock()
	defer d.step.Unlock()
	if !d.store.HasRoom() {
		return 0, nil // rows come first, and what is due can wait
	}
	renewed, err := d.store.RenewDue(sweepShare)
	if renewed {
		return sweepShare, errors.Join(err, d.store.Sync(ctx)) // there are more
	}
	rows, failed := d.store.Due(d.followed, d.opts.Now(), sweepShare)
	err = errors.Join(err, failed)
	if d.followed = (persist.Due{}); len(rows) == sweepShare { // else the next step is from the first one on
		d.followed = rows[sweepShare-1]
	}
	for _, due := range rows {
		o, found, failed := d.store.OwnerOf(due.Service)
		switch {
		case failed != nil:
		case found:
			failed = d.ask(ctx, o, sweep, due)
		default:
			d.store.WriteRows(nil, persist.AppendVisited(nil, due))
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("follow the due row of service %d: %w", due.Service, failed))
		}
	}
	return len(rows), errors.Join(err, d.store.Sync(ctx))
}

// WriteRows is one step: the customers that have waited longest hand over their rows, and it
// returns when these are on disk, with the number of customers. Its share is a little more
// than what a frame brings, so that the tail shrinks and no answer waits long behind rows. One
// who cannot is passed over, with an error.
func (d *Directory) WriteRows(ctx context.Context) (written int, err error) {
	d.step.Lock()
	defer d.step.Unlock()
	owners := d.store.Oldest()
	if len(owners) == 0 {
		d.store.WriteRows(nil, nil) // a frame, so that the journal is cut up to it
	}
	for _, o := range owners {
		if failed := d.ask(ctx, o, writeRows, persist.Due{}); failed != nil {
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

// Empty is one step: whose rows lead into the next segment of the journal that is mostly of no
// use writes them out, and it returns when they are on disk and the segment is deleted. False when
// there is no further one. One who cannot is passed over, with an error.
func (d *Directory) Empty(ctx context.Context) (more bool, err error) {
	d.step.Lock()
	defer d.step.Unlock()
	segment, holding, err := d.store.Sparse(d.emptied)
	d.emptied = segment
	for _, h := range holding {
		if failed := d.ask(ctx, h.Owner, writeOut, persist.Due{Service: h.Service}); failed != nil {
			err = errors.Join(err, fmt.Errorf("write out service %d: %w", h.Service, failed))
		}
	}
	return segment != 0, errors.Join(err, d.store.Sync(ctx))
}

// Sleep is one step: it goes over some of the shards and sends to sleep who has not been used
// since it last came by; the others it only marks. One whose rows are not written hands them
// over now and sleeps at a later step. False when nobody is left to ask.
func (d *Directory) Sleep(ctx context.Context) bool {
	d.step.Lock()
	defer d.step.Unlock()
	asked := 0
	for range 2 * shards { // the second round finds unmarked whom the first has marked
		s := &d.shards[d.hand]
		d.hand = (d.hand + 1) % shards
		for _, o := range s.unused(sleepShare) {
			if err := d.ask(ctx, o, fallAsleep, persist.Due{}); err != nil {
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
	for _, c := range s.customers {
		for ; c != nil; c = c.sibling {
			if c.used.Swap(false) {
				continue
			}
			if owners = append(owners, c.domain.Owner); len(owners) == limit {
				return owners
			}
		}
	}
	return owners
}

// ask has a customer do a task and waits until it has.
func (d *Directory) ask(ctx context.Context, o conversation.Owner, t task, due persist.Due) error {
	if d.errand == nil {
		d.errand = NewMessage()
	}
	m := d.errand
	m.reset()
	m.task, m.due = t, due
	if err := d.Send(o, m); err != nil {
		return err
	}
	if err := m.Await(ctx); err != nil {
		d.errand = nil // it stays in the mailbox
		return err
	}
	return m.Err
}
