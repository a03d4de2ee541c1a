package persist

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// A row need not repeat what a group of the journal says: it leads there, and the frame stays.
// So frames behind the mark are deleted by segments, each once no row leads into it. One that is
// mostly of no use is emptied before: who keeps has the rows that lead there written out.
const (
	// segmentRecords is how many record numbers make a segment: some 100 KB of frames with bodies
	// of the page's example, so that little waits for the last row that leads into it.
	segmentRecords = 512
	// sparseShare of a segment's bytes, or less, in use make it sparse. Frames pack about as
	// well: on disk they take no more than what is in use of them would unpacked.
	sparseShare = 0.25
)

// segment counts bytes of unpacked groups, in the frames whose first record has one of its numbers.
type segment struct {
	raw  uint64 // all that were ever there
	used uint64 // those that rows lead to
}

// segments are those with frames on disk; 50 bytes of memory each.
type segments struct {
	records uint64     // record numbers of each
	mu      sync.Mutex // guards what follows
	all     map[uint64]segment
	sparse  map[uint64]bool
	deleted uint64   // frames up to this record went with the last move of the mark
	touched []uint64 // reused
}

// use is how a row changes what is used of a frame.
type use struct {
	frame uint64 // its first record; 0 for no change
	bytes int    // of the group; negative when the row leads there no more
}

// load reads what was there when the folder was last open.
func (s *segments) load(db *pebble.DB, mark uint64) error {
	s.all, s.sparse = make(map[uint64]segment), make(map[uint64]bool)
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{segmentTag}, UpperBound: []byte{segmentTag + 1}})
	if err != nil {
		return fmt.Errorf("read the segments: %w", err)
	}
	defer iter.Close()
	for valid := iter.First(); valid; valid = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return fmt.Errorf("read the segments: %w", err)
		}
		n := binary.BigEndian.Uint64(iter.Key()[1:])
		seg, err := decodeSegment(value)
		if err != nil {
			return fmt.Errorf("segment %d: %w", n, err)
		}
		s.put(n, seg, mark)
	}
	return iter.Error()
}

// put keeps a segment. It is sparse only once it is behind the mark: before, rows are still to come.
func (s *segments) put(n uint64, seg segment, mark uint64) {
	s.all[n] = seg
	if (n+1)*s.records <= mark && float64(seg.used) <= sparseShare*float64(seg.raw) {
		s.sparse[n] = true
	} else {
		delete(s.sparse, n)
	}
}

// commit puts into the batch of g what it changes of segments, and the deletion of those of which
// nothing is needed any more: by rows, or by the tail, whose beginning goes from one mark to the
// next.
func (s *segments) commit(b *pebble.Batch, g *groupCommit, from, mark uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = s.touched[:0]
	for i, f := range g.frames {
		_, groups := g.frame(i)
		seg := s.touch(f.first)
		seg.raw += uint64(len(groups))
		s.all[f.first/s.records] = seg
	}
	for i := range g.rows {
		if u := g.rows[i].use; u.frame != 0 {
			seg := s.touch(u.frame)
			seg.used += uint64(u.bytes) // wraps around where it is negative
			s.all[u.frame/s.records] = seg
		}
	}
	for n := from / s.records; from < mark && n <= (mark-1)/s.records; n++ {
		s.touched = append(s.touched, n)
	}
	slices.Sort(s.touched)

	var dead truncation // neighbours, as one
	for _, n := range slices.Compact(s.touched) {
		seg, there := s.all[n]
		if !there {
			continue // no frame begins in it
		}
		if seg.used > seg.raw {
			return fmt.Errorf("the counts of segment %d are wrong: rows lead to %d bytes of %d", n, seg.used, seg.raw)
		}
		first, end := n*s.records, (n+1)*s.records
		whole := end <= mark
		if seg.used == 0 && (whole || first < mark && from < mark) {
			if first < s.deleted && s.deleted < end {
				first = s.deleted // ranges that overlap cost reads dearly
			}
			s.deleted = min(end, mark)
			if dead.to != first {
				if err := dead.write(b); err != nil {
					return err
				}
				dead.from = first
			}
			dead.to = min(end, mark)
		}
		var err error
		if seg.used == 0 && whole {
			delete(s.all, n)
			delete(s.sparse, n)
			err = b.Delete(segmentKey(n), nil)
		} else {
			s.put(n, seg, mark)
			err = b.Set(segmentKey(n), encodeSegment(seg), nil)
		}
		if err != nil {
			return err
		}
	}
	return dead.write(b)
}

// touch gives the segment of a frame, which is about to change.
func (s *segments) touch(frame uint64) segment {
	n := frame / s.records
	s.touched = append(s.touched, n)
	return s.all[n]
}

// truncation deletes the frames from first record from up to, not with, first record to.
type truncation struct{ from, to uint64 }

func (t truncation) write(b *pebble.Batch) error {
	if t.from == t.to {
		return nil
	}
	return b.DeleteRange(frameKey(t.from), frameKey(t.to), nil)
}

func encodeSegment(seg segment) []byte {
	b := binary.AppendUvarint([]byte{formatVersion}, seg.raw)
	return binary.AppendUvarint(b, seg.used)
}

func decodeSegment(b []byte) (segment, error) {
	r := reader{b: b}
	if v := r.byte(); v != formatVersion {
		return segment{}, fmt.Errorf("version %d, this program writes %d", v, formatVersion)
	}
	seg := segment{raw: r.uvarint(), used: r.uvarint()}
	if r.err != nil || len(r.b) != 0 {
		return segment{}, fmt.Errorf("%d bytes too many, or too few (%v)", len(r.b), r.err)
	}
	return seg, nil
}

// Holding is a service whose row leads into a sparse segment.
type Holding struct {
	Owner   conversation.Owner
	Service conversation.ServiceID
}

// Sparse gives the next sparse segment behind one, and whose rows hold it: once each of them has
// been written out, by its owner, it is deleted. 0 when there is none, which is also what stands
// before all.
func (s *Store) Sparse(behind uint64) (segment uint64, holding []Holding, err error) {
	s.segments.mu.Lock()
	for n := range s.segments.sparse {
		if n+1 > behind && (segment == 0 || n+1 < segment) {
			segment = n + 1
		}
	}
	s.segments.mu.Unlock()
	if segment == 0 {
		return 0, nil, nil
	}
	holding, err = s.holding((segment-1)*s.segments.records, segment*s.segments.records)
	return segment, holding, err
}

// holding reads the frames from one record up to another, for the services that started there
// and whose rows still lead there.
func (s *Store) holding(from, to uint64) (holding []Holding, err error) {
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: frameKey(from), UpperBound: frameKey(to)})
	if err != nil {
		return nil, fmt.Errorf("read frames from record %d: %w", from, err)
	}
	defer iter.Close()
	var raw []byte
	for valid := iter.First(); valid; valid = iter.Next() {
		first := binary.BigEndian.Uint64(iter.Key()[1:])
		value, err := iter.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("frame of record %d: %w", first, err)
		}
		h, groups, err := readFrame(value, raw)
		if err != nil {
			return nil, fmt.Errorf("frame of record %d: %w", first, err)
		}
		raw = groups[:0]
		if err := eachGroup(first, h, groups, func(g *group, _ int) error {
			return g.eachRecord(func(_ uint64, r *conversation.Record) error {
				if r.Kind != conversation.ServiceStarted {
					return nil
				}
				leads, err := s.leadsTo(g.owner, r.Service, first)
				if leads {
					holding = append(holding, Holding{g.owner, r.Service})
				}
				return err
			})
		}); err != nil {
			return nil, fmt.Errorf("frame of record %d: %w", first, err)
		}
	}
	return holding, iter.Error()
}
