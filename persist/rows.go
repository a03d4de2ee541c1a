package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/s2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// maxRowRaw bounds what a row may unpack to: above MaxServiceBytes with what stands beside the
// details of ten thousand states and tasks, each with a type and an end.
const maxRowRaw = 1 << 30

// MaxServiceBytes is what the details of one service, its states and tasks may be bounded to,
// so that every row that is written can be read.
const MaxServiceBytes = 256 << 20

// packFrom is the size in bytes from which a row is packed: below, s2 gains nothing.
const packFrom = 256

// keepRaw is the size in bytes up to which buffers for encoding are kept for the next row.
const keepRaw = 1 << 20

const (
	plainRow  = 0
	packedRow = 1
)

// Row is one write to Pebble that follows from the records: a nil value deletes.
type Row struct {
	key, value []byte
	index      conversation.ServiceID // not 0: the row that leads from this id to its owner,
	last       uint64                 // as it is at this record
}

// AppendRows adds to rows what keeps the service as it is at record number last: its row
// under its owner, in its phase, the way from its id to there, and its due row. It notes on s
// that they exist.
func (s *Store) AppendRows(rows []Row, o conversation.Owner, svc *conversation.Service, last uint64) []Row {
	s.seen.add(o)
	rows = appendRows(rows, o, svc, last)
	if due := svc.Due(s.opts.Timers); due != svc.DueRow {
		if svc.DueRow != 0 {
			rows = append(rows, Row{key: dueKey(svc.DueRow, svc.ID)})
		}
		if due != 0 {
			rows = append(rows, Row{key: dueKey(due, svc.ID), value: []byte{}})
		}
		svc.DueRow = due
	}
	svc.Changed, svc.Written = false, true
	return rows
}

// AppendGone adds what deletes the rows of a service that is gone at record number last. One
// that left keeps its due row, which may by now be that of its new owner; the sweeper clears up.
func AppendGone(rows []Row, o conversation.Owner, id conversation.ServiceID, g *conversation.Gone, last uint64) []Row {
	if g.Written {
		rows = append(rows, Row{key: serviceKey(o, activePhase, id)}, Row{key: serviceKey(o, completedPhase, id)})
	}
	if g.Left {
		return rows
	}
	if g.DueRow != 0 {
		rows = append(rows, Row{key: dueKey(g.DueRow, id)})
	}
	return append(rows, Row{key: indexKey(id), index: id, last: last})
}

func appendRows(rows []Row, o conversation.Owner, s *conversation.Service, last uint64) []Row {
	phase := byte(activePhase)
	if s.Completed != nil {
		phase = completedPhase
		if s.Written {
			rows = append(rows, Row{key: serviceKey(o, activePhase, s.ID)})
		}
	}
	rows = append(rows, Row{key: serviceKey(o, phase, s.ID), value: encodeRow(s, last)})
	if !s.Written {
		rows = append(rows, Row{key: indexKey(s.ID), value: appendOwner(nil, o), index: s.ID, last: last})
	}
	return rows
}

// rowBuffers are what encoding a row needs for a moment: rows are encoded in many actors'
// turns, and a fresh page costs more than packing it.
type rowBuffers struct {
	records []conversation.Record
	raw     []byte
	value   []byte
}

var rowPool = sync.Pool{New: func() any { return new(rowBuffers) }}

func encodeRow(s *conversation.Service, last uint64) []byte {
	b := rowPool.Get().(*rowBuffers)
	defer func() {
		if cap(b.raw) <= keepRaw {
			rowPool.Put(b)
		}
	}()
	b.records = s.Records(b.records[:0])
	b.raw = binary.AppendUvarint(b.raw[:0], uint64(len(b.records)))
	for i := range b.records {
		b.raw = appendRecord(b.raw, &b.records[i])
	}
	clear(b.records) // the service's details are not this pool's to keep
	codec := byte(packedRow)
	if len(b.raw) < packFrom {
		codec = plainRow
	}
	b.value = append(b.value[:0], formatVersion, codec)
	b.value = binary.AppendUvarint(b.value, last)
	if codec == plainRow {
		b.value = append(b.value, b.raw...)
	} else {
		b.value = appendPacked(b.value, b.raw)
	}
	return bytes.Clone(b.value)
}

// decodeRow rebuilds a service and tells the number of the last record that its row holds.
// The service keeps no part of value.
func decodeRow(o conversation.Owner, id conversation.ServiceID, value []byte) (*conversation.Service, uint64, error) {
	r := reader{b: value}
	version, codec, last := r.byte(), r.byte(), r.uvarint()
	switch {
	case r.err != nil:
		return nil, 0, r.err
	case version != formatVersion:
		return nil, 0, fmt.Errorf("version %d, this program writes %d", version, formatVersion)
	case codec == plainRow:
		r.b = append([]byte(nil), r.b...)
	case codec == packedRow:
		if n, err := s2.DecodedLen(r.b); err != nil || n > maxRowRaw {
			return nil, 0, fmt.Errorf("unpacks to %d bytes, the bound is %d (%v)", n, maxRowRaw, err)
		}
		raw, err := s2.Decode(nil, r.b)
		if err != nil {
			return nil, 0, err
		}
		r.b = raw
	default:
		return nil, 0, fmt.Errorf("codec %d", codec)
	}
	holder := conversation.Customer{Owner: o}
	var rec conversation.Record
	for n := r.uvarint(); n > 0; n-- {
		r.record(&rec)
		if r.err != nil {
			return nil, 0, r.err
		}
		if rec.Service != id || !holder.Fits(&rec) {
			return nil, 0, fmt.Errorf("a %v record that does not fit the row", rec.Kind)
		}
		holder.Apply(&rec)
	}
	s := holder.Service(id)
	if r.err != nil || len(r.b) != 0 || s == nil {
		return nil, 0, fmt.Errorf("%d bytes too many, or too few (%v)", len(r.b), r.err)
	}
	s.Changed, s.Written = false, true
	return s, last, nil
}

// service reads the row of one service; nil when there is none.
func (s *Store) service(o conversation.Owner, phase byte, id conversation.ServiceID) (*conversation.Service, uint64, error) {
	key := serviceKey(o, phase, id)
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the row of service %d: %w", id, err)
	}
	defer closer.Close()
	svc, last, err := decodeRow(o, id, value)
	if err != nil {
		return nil, 0, fmt.Errorf("row of service %d at key %x: %w", id, key, err)
	}
	svc.DueRow = svc.Due(s.opts.Timers)
	return svc, last, nil
}

// CompletedService reads a completed service of o; nil when it has none of that id. Its rows
// must be on disk already: a customer keeps what is not in its own memory. last is the number of
// the last record that the row holds: one that is written in its place must not say less.
func (s *Store) CompletedService(o conversation.Owner, id conversation.ServiceID) (svc *conversation.Service, last uint64, err error) {
	return s.service(o, completedPhase, id)
}

// Rows is a view of a customer's services in one phase as they stood when it was opened.
// It is read outside the customer's turn, so that ten thousand of them hold nobody up.
type Rows struct {
	owner  conversation.Owner
	timers conversation.Timers
	iter   *pebble.Iterator
}

// Completed opens the rows of o's completed services. Close must follow.
func (s *Store) Completed(o conversation.Owner) (*Rows, error) {
	return s.rows(o, completedPhase)
}

func (s *Store) rows(o conversation.Owner, phase byte) (*Rows, error) {
	from := customerPrefix(o, phase)
	to := customerPrefix(o, phase+1)
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, fmt.Errorf("read the rows of %v: %w", o, err)
	}
	iter.SeekPrefixGE(from)
	return &Rows{owner: o, timers: s.opts.Timers, iter: iter}, nil
}

// Next is the next service and the number of the last record that its row holds; nil at
// the end.
func (r *Rows) Next() (*conversation.Service, uint64, error) {
	if !r.iter.Valid() {
		if err := r.iter.Error(); err != nil {
			return nil, 0, fmt.Errorf("read the rows of %v: %w", r.owner, err)
		}
		return nil, 0, nil
	}
	value, err := r.iter.ValueAndErr()
	if err != nil {
		return nil, 0, fmt.Errorf("read the rows of %v: %w", r.owner, err)
	}
	svc, last, err := decodeRow(r.owner, serviceOf(r.iter.Key()), value)
	if err != nil {
		return nil, 0, fmt.Errorf("row of service %d at key %x: %w", serviceOf(r.iter.Key()), r.iter.Key(), err)
	}
	svc.DueRow = svc.Due(r.timers)
	r.iter.Next()
	return svc, last, nil
}

// Close ends the view.
func (r *Rows) Close() error { return r.iter.Close() }

// OwnerOf tells whose a service is. Services whose rows are not yet written are looked up in
// memory, the others in their index row.
func (s *Store) OwnerOf(id conversation.ServiceID) (o conversation.Owner, found bool, err error) {
	if id <= 0 || id > maxServiceID {
		return o, false, nil
	}
	s.mu.Lock()
	at, found := s.owners[id]
	s.mu.Unlock()
	if found {
		return at.owner, true, nil
	}
	value, closer, err := s.db.Get(indexKey(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("read the owner of service %d: %w", id, err)
	}
	defer closer.Close()
	o, rest, err := readOwner(value)
	if err != nil || len(rest) != 0 {
		return o, false, fmt.Errorf("index row of service %d: %d bytes too many (%v)", id, len(rest), err)
	}
	return o, true, nil
}
