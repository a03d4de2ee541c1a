package persist

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// recover reads the journal from the mark on and notes which frames speak of which owner.
// It builds no customer: that is done when one is first asked for, or its rows are due.
func (s *Store) recover() error {
	m, err := s.readMark()
	if err != nil {
		return err
	}
	if err := s.beginDue(); err != nil {
		return err
	}
	if err := s.segments.load(s.db, m.first); err != nil {
		return err
	}
	s.next, s.tail.from = m.first, m.first
	s.tail.pressure = make(chan struct{}, 1)
	s.tail.recovered = make(map[conversation.Owner]*Unwritten)
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: frameKey(m.first), UpperBound: markKey})
	if err != nil {
		return err
	}
	defer iter.Close()
	var raw []byte
	for valid := iter.First(); valid; valid = iter.Next() {
		first := binary.BigEndian.Uint64(iter.Key()[1:])
		if first != s.next {
			return fmt.Errorf("the journal has no record %d: its next frame begins with %d", s.next, first)
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			return fmt.Errorf("frame of record %d: %w", first, err)
		}
		h, groups, err := readFrame(value, raw)
		if err != nil {
			return fmt.Errorf("frame of record %d: %w", first, err)
		}
		raw = groups[:0]
		if err := eachGroup(first, h, groups, func(g *group, at int) error {
			return s.recoverGroup(g, groupRef{frame: first, first: g.first, at: at, bytes: g.bytes})
		}); err != nil {
			return fmt.Errorf("frame of record %d: %w", first, err)
		}
		m.reserved = max(m.reserved, h.reserved)
		s.next = h.last + 1
		s.tail.add(tailFrame{first: first, last: h.last, bytes: frameWeight(first, h.last, len(value))})
	}
	if err := iter.Error(); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	s.tail.noted = 0
	s.synced.Store(s.next - 1)
	s.startCounters(m.reserved)
	s.full.Store(s.tail.bytes >= s.opts.TailBytes)
	s.tail.wake(s.opts.TailBytes)
	if s.due.needed {
		s.WriteRows(nil, []Row{{key: timersKey}}) // in the first batch, before any row of the new timers
	}
	return nil
}

func (s *Store) readMark() (mark, error) {
	value, closer, err := s.db.Get(markKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return mark{first: 1}, nil
	}
	if err != nil {
		return mark{}, fmt.Errorf("read the mark: %w", err)
	}
	defer closer.Close()
	return decodeMark(value)
}

func (s *Store) recoverGroup(g *group, ref groupRef) error {
	u := s.tail.note(s.tail.recovered[g.owner], g.owner, ref)
	s.tail.recovered[g.owner] = u
	return g.eachRecord(func(number uint64, r *conversation.Record) error {
		if r.Kind == conversation.ServiceStarted {
			s.owners[r.Service] = ownerAt{owner: u.owner, number: number}
		}
		return nil
	})
}

// Load brings a customer to memory: its active services from their rows, and on top what the
// tail says of it. u is what Append gave for this owner, or nil; the one that comes back
// replaces it. last is the number of the last record that the customer now holds, so that
// rows written of it say so. It is called by the owner's actor, which appends nothing
// meanwhile; what it appended before must be on disk.
func (s *Store) Load(c *conversation.Customer, u *Unwritten) (_ *Unwritten, last uint64, err error) {
	s.mu.Lock()
	if u == nil {
		u = s.tail.recovered[c.Owner]
	}
	s.mu.Unlock()
	if last, err = s.load(c, u); err != nil {
		return nil, 0, err // what was recovered is still there for the next try
	}
	s.mu.Lock()
	delete(s.tail.recovered, c.Owner)
	s.mu.Unlock()
	return u, last, nil
}

func (s *Store) load(c *conversation.Customer, u *Unwritten) (last uint64, err error) {
	rowsAt, err := s.loadActive(c)
	if err != nil {
		return 0, err
	}
	for _, at := range rowsAt {
		last = max(last, at)
	}
	if u == nil || u.handedOver {
		return last, nil
	}
	r := replay{store: s, customer: c, rowsAt: rowsAt}
	if r.rowsAt == nil {
		r.rowsAt = make(map[conversation.ServiceID]uint64)
	}
	for _, ref := range u.groups {
		if last, err = r.group(ref); err != nil {
			return 0, fmt.Errorf("frame of record %d: %w", ref.frame, err)
		}
	}
	for id, number := range r.missing {
		return 0, fmt.Errorf("record %d is of service %d, which is not there", number, id)
	}
	return last, nil
}

// loadActive adds the active services to c and tells which record each row holds last. The
// map is made for replay, and with the first row: most who are asked for were never seen.
func (s *Store) loadActive(c *conversation.Customer) (rowsAt map[conversation.ServiceID]uint64, err error) {
	if !s.seen.mayHaveRows(c.Owner) {
		return nil, nil
	}
	rows, err := s.rows(c.Owner, activePhase)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for {
		svc, last, err := rows.Next()
		if err != nil || svc == nil {
			return rowsAt, err
		}
		if rowsAt == nil {
			rowsAt = make(map[conversation.ServiceID]uint64)
		}
		c.Add(svc)
		rowsAt[svc.ID] = last
	}
}

// replay applies what the tail says of a customer and its rows do not hold yet.
type replay struct {
	store    *Store
	customer *conversation.Customer
	rowsAt   map[conversation.ServiceID]uint64 // the last record that a service's row holds, of those looked up
	missing  map[conversation.ServiceID]uint64 // a record of one without rows: it must turn out to be gone
}

// group applies a group. last is the number of its last record.
func (p *replay) group(ref groupRef) (last uint64, err error) {
	err = p.store.frames.use(p.store.db, ref.frame, func(groups []byte) error {
		g, _, err := readGroup(groups[ref.at:], ref.first)
		if err != nil {
			return err
		}
		last = g.first + g.count - 1
		return g.eachRecord(p.record)
	})
	return last, err
}

func (p *replay) record(number uint64, r *conversation.Record) error {
	if err := p.lookUp(r.Service); err != nil {
		return err
	}
	switch {
	case number <= p.rowsAt[r.Service]:
		p.store.forget(number, r) // its index row came with the row
		return nil
	case p.customer.Fits(r):
		own := *r
		own.Own(make([]byte, len(r.Details)))
		p.customer.Apply(&own)
		return nil
	case p.customer.Service(r.Service) != nil || r.Kind == conversation.ServiceStarted:
		return fmt.Errorf("record %d: %v of service %d does not fit", number, r.Kind, r.Service)
	case r.Kind == conversation.ServiceDeleted || r.Kind == conversation.ServiceLeft:
		delete(p.missing, r.Service)
	default:
		if p.missing == nil {
			p.missing = make(map[conversation.ServiceID]uint64)
		}
		p.missing[r.Service] = number
	}
	return nil
}

// lookUp gets a completed service from its row, once: after that what is not in memory is not
// there, whatever a row says whose deletion is not yet written.
func (p *replay) lookUp(id conversation.ServiceID) error {
	if _, looked := p.rowsAt[id]; looked || p.customer.Service(id) != nil {
		return nil
	}
	svc, at, err := p.store.service(p.customer.Owner, completedPhase, id)
	if err != nil {
		return err
	}
	p.rowsAt[id] = at
	if svc != nil {
		p.customer.Add(svc)
	}
	return nil
}

// forget drops the way in memory from a service to its owner, where a record that is in rows
// has made it.
func (s *Store) forget(number uint64, r *conversation.Record) {
	if r.Kind != conversation.ServiceStarted {
		return
	}
	s.mu.Lock()
	if s.owners[r.Service].number == number {
		delete(s.owners, r.Service)
	}
	s.mu.Unlock()
}
