package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// Due is a due row: a hint that something may happen to a service at an instant. It came with
// the service's row; what the owner's actor has decided since may have moved it.
type Due struct {
	At      conversation.Instant
	Service conversation.ServiceID
}

// Due gives the due rows behind one, up to now, at most limit; behind the zero Due, or one that
// lies after now, from the first one on. So who follows a long list need not go over those
// followed again and again, whose deletions are still in front.
func (s *Store) Due(behind Due, now conversation.Instant, limit int) ([]Due, error) {
	from, to := append(dueKey(behind.At, behind.Service), 0), dueKey(now+1, 0)
	if behind == (Due{}) || bytes.Compare(from, to) > 0 { // the clock went back
		from = []byte{dueTag}
	}
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, fmt.Errorf("read the due rows: %w", err)
	}
	defer iter.Close()
	var due []Due
	for valid := iter.First(); valid && len(due) < limit; valid = iter.Next() {
		key := iter.Key()
		if len(key) != 1+8+8 {
			return nil, fmt.Errorf("due row at key %x: %d bytes", key, len(key))
		}
		due = append(due, Due{At: conversation.Instant(binary.BigEndian.Uint64(key[1:])), Service: serviceOf(key)})
	}
	if err := iter.Error(); err != nil {
		return nil, fmt.Errorf("read the due rows: %w", err)
	}
	return due, nil
}

// AppendVisited adds what deletes a due row that was followed.
func AppendVisited(rows []Row, d Due) []Row { return append(rows, Row{key: dueKey(d.At, d.Service)}) }

// dueWalk is where RenewDue goes on, which writes the due rows anew when the folder was last open
// with other timers: rows made then tell of other instants, or of none. From that opening to the
// end of it the folder names no timers, which stands for none: so whatever comes next, a crash
// and the timers of before included, begins again.
type dueWalk struct {
	needed bool
	next   []byte // the next service row
}

func (s *Store) beginDue() error {
	stored := conversation.Timers{}
	value, closer, err := s.db.Get(timersKey)
	if err == nil {
		stored, err = decodeTimers(value)
		err = errors.Join(err, closer.Close())
	} else if errors.Is(err, pebble.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("read the timers: %w", err)
	}
	s.due = dueWalk{needed: stored != s.opts.Timers, next: []byte{customerTag}}
	return nil
}

// RenewDue is a step of that: it looks at the next rows, at most limit. False when there is
// nothing to do, or it could not be done. A row that cannot be read is passed over, with an
// error.
func (s *Store) RenewDue(limit int) (bool, error) {
	if !s.due.needed {
		return false, nil
	}
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: s.due.next, UpperBound: []byte{customerTag + 1}})
	if err != nil {
		return false, fmt.Errorf("renew the due rows: %w", err)
	}
	defer iter.Close()
	var rows []Row
	var unread error
	next := s.due.next
	valid := iter.First()
	for ; valid && limit > 0; valid, limit = iter.Next(), limit-1 {
		next = append(bytes.Clone(iter.Key()), 0)
		svc, err := s.rowAt(iter)
		if err != nil {
			unread = errors.Join(unread, err)
			continue
		}
		if svc == nil {
			continue
		}
		if due := svc.Due(s.opts.Timers); due != 0 {
			rows = append(rows, Row{key: dueKey(due, svc.ID), value: []byte{}})
		}
	}
	if err := iter.Error(); err != nil {
		return false, fmt.Errorf("renew the due rows: %w", err)
	}
	if !valid {
		rows = append(rows, Row{key: timersKey, value: encodeTimers(s.opts.Timers)})
		s.due.needed = false
	}
	s.due.next = next
	s.WriteRows(nil, rows)
	return true, unread
}

// rowAt decodes the service row that iter is at. Where it has been written out, or has gone, since
// iter was opened, it is as it is now, or nil.
func (s *Store) rowAt(iter *pebble.Iterator) (*conversation.Service, error) {
	key := iter.Key()
	o, rest, err := readOwner(key[1:])
	if err != nil || len(rest) != 1+8 {
		return nil, fmt.Errorf("service row at key %x: %d bytes behind its owner (%v)", key, len(rest), err)
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		return nil, fmt.Errorf("service row at key %x: %w", key, err)
	}
	svc, _, err := s.decodeRow(o, serviceOf(key), value)
	if errors.Is(err, errNoFrame) {
		return s.ServiceRow(o, serviceOf(key))
	}
	if err != nil {
		return nil, fmt.Errorf("service row at key %x: %w", key, err)
	}
	return svc, nil
}

func encodeTimers(t conversation.Timers) []byte {
	b := binary.AppendUvarint([]byte{formatVersion}, uint64(t.AutoCompleteAfter))
	return binary.AppendUvarint(b, uint64(t.ExpireAfter))
}

func decodeTimers(b []byte) (t conversation.Timers, err error) {
	r := reader{b: b}
	if v := r.byte(); v != formatVersion {
		return t, fmt.Errorf("version %d, this program writes %d", v, formatVersion)
	}
	t = conversation.Timers{AutoCompleteAfter: conversation.Instant(r.uvarint()), ExpireAfter: conversation.Instant(r.uvarint())}
	if r.err != nil || len(r.b) != 0 {
		return t, fmt.Errorf("%d bytes too many, or too few (%v)", len(r.b), r.err)
	}
	return t, nil
}
