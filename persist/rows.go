package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// maxRowRaw bounds what a row may unpack to: above MaxServiceBytes with what stands beside the
// details of ten thousand states and tasks, each with a type and an end.
const maxRowRaw = 1 << 30

// MaxServiceBytes is what the details of one service, its states and tasks may be bounded to,
// so that every row that is written can be read.
const MaxServiceBytes = 256 << 20

// packFrom is the size in bytes from which a row is packed, or leads to a group: below, neither
// gains anything.
const packFrom = 256

// keepRaw is the size in bytes up to which buffers for encoding are kept for the next row.
const keepRaw = 1 << 20

// The codecs of a row.
const (
	plainRow  = 0
	packedRow = 1
	leadRow   = 2
)

// Row is one write to Pebble that follows from the records: a nil value deletes.
type Row struct {
	key, value []byte
	index      conversation.ServiceID // not 0: the row that leads from this id to its owner,
	last       uint64                 // as it is at this record
	use        use                    // of the frame that the service's row leads to, or has led to
}

// AppendRows adds to rows what keeps the service as it is at record number last: its row
// under its owner, in its phase, the way from its id to there, and its due row. u is the owner's
// Unwritten, which is about to be handed over with the rows. It notes on svc what is stored.
func (s *Store) AppendRows(rows []Row, u *Unwritten, o conversation.Owner, svc *conversation.Service, last uint64) []Row {
	s.seen.add(o)
	before := svc.Stored
	svc.Changed, svc.Written, svc.Frame, svc.FrameBytes = false, true, 0, 0
	row := Row{use: unused(before)}
	if svc.Completed == nil {
		row.key = serviceKey(o, activePhase, svc.ID)
	} else {
		row.key = serviceKey(o, completedPhase, svc.ID)
		if before.Written {
			rows = append(rows, Row{key: serviceKey(o, activePhase, svc.ID)})
		}
	}
	if ref, is := u.onlyGroup(); is && !before.Written && svc.Completed == nil {
		svc.Frame, svc.FrameBytes = ref.frame, int32(ref.bytes)
		row.use = use{ref.frame, ref.bytes}
		row.value = encodeLead(ref, last)
	} else {
		row.value = encodeRow(svc, last)
	}
	rows = append(rows, row)
	if !before.Written {
		rows = append(rows, Row{key: indexKey(svc.ID), value: appendOwner(make([]byte, 0, ownerSize(o)), o), index: svc.ID, last: last})
	}
	if due := svc.Due(s.opts.Timers); due != svc.DueRow {
		if svc.DueRow != 0 {
			rows = append(rows, Row{key: dueKey(svc.DueRow, svc.ID)})
		}
		if due != 0 {
			rows = append(rows, Row{key: dueKey(due, svc.ID), value: []byte{}})
		}
		svc.DueRow = due
	}
	return rows
}

// onlyGroup is the one group that u stands for, where a row may lead to it: what has no row yet
// has all its records there. A large one would hold its whole segment.
func (u *Unwritten) onlyGroup() (ref groupRef, is bool) {
	if u == nil || u.handedOver || len(u.groups) != 1 {
		return ref, false
	}
	ref = u.groups[0]
	return ref, ref.bytes >= packFrom && ref.bytes <= frameBytes
}

// unused is what it means for frames that a row is overwritten or deleted.
func unused(s conversation.Stored) use { return use{s.Frame, -int(s.FrameBytes)} }

// AppendGone adds what deletes the rows of a service that is gone at record number last. One
// that left keeps its due row, which may by now be that of its new owner; the sweeper clears up.
func AppendGone(rows []Row, o conversation.Owner, id conversation.ServiceID, g *conversation.Gone, last uint64) []Row {
	if g.Written {
		rows = append(rows, Row{key: serviceKey(o, activePhase, id), use: unused(g.Stored)}, Row{key: serviceKey(o, completedPhase, id)})
	}
	if g.Left {
		return rows
	}
	if g.DueRow != 0 {
		rows = append(rows, Row{key: dueKey(g.DueRow, id)})
	}
	return append(rows, Row{key: indexKey(id), index: id, last: last})
}

// encodeLead is the row of a service whose records are all in one group.
func encodeLead(ref groupRef, last uint64) []byte {
	b := binary.AppendUvarint(append(make([]byte, 0, 24), formatVersion, leadRow), last)
	b = binary.AppendUvarint(b, ref.frame)
	b = binary.AppendUvarint(b, uint64(ref.at))
	return binary.AppendUvarint(b, uint64(ref.bytes))
}

// lead reads what stands behind the header of a row that leads to a group.
func (r *reader) lead() (ref groupRef, err error) {
	ref = groupRef{frame: r.uvarint(), at: int(r.uvarint()), bytes: int(r.uvarint())}
	if r.err == nil && len(r.b) != 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	return ref, r.err
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

// rowHeader reads what stands before a row's body.
func (r *reader) rowHeader() (codec byte, last uint64, err error) {
	version := r.byte()
	codec, last = r.byte(), r.uvarint()
	if r.err == nil && version != formatVersion {
		r.err = fmt.Errorf("version %d, this program writes %d", version, formatVersion)
	}
	return codec, last, r.err
}

// decodeRow rebuilds a service and tells the number of the last record that its row holds.
// The service keeps no part of value.
func (s *Store) decodeRow(o conversation.Owner, id conversation.ServiceID, value []byte) (*conversation.Service, uint64, error) {
	r := reader{b: value}
	codec, last, err := r.rowHeader()
	if err != nil {
		return nil, 0, err
	}
	var ref groupRef
	switch codec {
	case plainRow:
		r.b = bytes.Clone(r.b)
	case packedRow:
		r.b, err = unpack(nil, r.b, maxRowRaw)
	case leadRow:
		if ref, err = r.lead(); err == nil {
			r.b, err = s.groupBody(o, ref)
		}
	default:
		err = fmt.Errorf("codec %d", codec)
	}
	if err != nil {
		return nil, 0, err
	}
	svc, err := r.service(o, id, codec == leadRow)
	if err != nil {
		return nil, 0, err
	}
	svc.Stored = conversation.Stored{Written: true, Frame: ref.frame, FrameBytes: int32(ref.bytes), DueRow: svc.Due(s.opts.Timers)}
	return svc, last, nil
}

// groupBody copies the records of the group that a row of o leads to, with their number.
func (s *Store) groupBody(o conversation.Owner, ref groupRef) (body []byte, err error) {
	err = s.frames.use(s.db, ref.frame, func(groups []byte) error {
		if uint(ref.at) <= uint(len(groups)) {
			if g, _, err := readGroup(groups[ref.at:], 0); err == nil && g.owner == o && g.bytes == ref.bytes {
				group := groups[ref.at : ref.at+ref.bytes]
				body = bytes.Clone(group[4+ownerSize(o):])
				return nil
			}
		}
		return fmt.Errorf("leads to %d bytes from byte %d of the frame of record %d, where there is no such group", ref.bytes, ref.at, ref.frame)
	})
	return body, err
}

// service rebuilds one from its records, whose number stands first. Among others tells that
// records of other services may be there.
func (r *reader) service(o conversation.Owner, id conversation.ServiceID, amongOthers bool) (*conversation.Service, error) {
	holder := conversation.Customer{Owner: o}
	var rec conversation.Record
	for n := r.uvarint(); n > 0; n-- {
		r.record(&rec)
		if r.err != nil {
			return nil, r.err
		}
		if rec.Service != id && amongOthers {
			continue
		}
		if rec.Service != id || !holder.Fits(&rec) {
			return nil, fmt.Errorf("a %v record that does not fit the row", rec.Kind)
		}
		holder.Apply(&rec)
	}
	s := holder.Service(id)
	if r.err != nil || len(r.b) != 0 || s == nil {
		return nil, fmt.Errorf("%d bytes too many, or too few (%v)", len(r.b), r.err)
	}
	s.Changed = false
	return s, nil
}

// leadsTo tells whether the row of an active service leads into the frame.
func (s *Store) leadsTo(o conversation.Owner, id conversation.ServiceID, frame uint64) (bool, error) {
	value, closer, err := s.db.Get(serviceKey(o, activePhase, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the row of service %d: %w", id, err)
	}
	defer closer.Close()
	r := reader{b: value}
	if codec, _, err := r.rowHeader(); err != nil || codec != leadRow {
		return false, err
	}
	ref, err := r.lead()
	return ref.frame == frame, err
}

// service reads the row of one service; nil when there is none. Who is not the owner's actor may
// read a row that is written out, and its frame deleted, in between: it is then read again.
func (s *Store) service(o conversation.Owner, phase byte, id conversation.ServiceID) (svc *conversation.Service, last uint64, err error) {
	key := serviceKey(o, phase, id)
	for read := []byte(nil); ; {
		value, closer, err := s.db.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read the row of service %d: %w", id, err)
		}
		svc, last, err = s.decodeRow(o, id, value)
		again := errors.Is(err, errNoFrame) && !bytes.Equal(value, read)
		read = bytes.Clone(value)
		if closed := closer.Close(); closed != nil {
			return nil, 0, fmt.Errorf("read the row of service %d: %w", id, closed)
		}
		if err == nil {
			return svc, last, nil
		}
		if !again {
			return nil, 0, fmt.Errorf("row of service %d at key %x: %w", id, key, err)
		}
	}
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
	store *Store
	owner conversation.Owner
	iter  *pebble.Iterator
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
	return &Rows{store: s, owner: o, iter: iter}, nil
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
	svc, last, err := r.store.decodeRow(r.owner, serviceOf(r.iter.Key()), value)
	if err != nil {
		return nil, 0, fmt.Errorf("row of service %d at key %x: %w", serviceOf(r.iter.Key()), r.iter.Key(), err)
	}
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
