package persist

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// tail is the part of the journal whose rows are not all written: what a restart reads. Its
// frames are in order without a gap, and so are the owners that wait for their rows, by
// their first record. Guarded by Store.mu.
type tail struct {
	from   uint64 // the mark: number of its first record
	frames []tailFrame
	bytes  int64 // of frames, as frameWeight counts them

	head, last *Unwritten // a list, oldest first; those handed over leave it at the head
	noted      int        // owners that joined it since the last group commit was taken

	inLastCommit int // owners that joined it before that, since the one before

	recovered map[conversation.Owner]*Unwritten // owners that have not been woken since the start
	room      chan struct{}                     // closed when the tail is below its bound again; nil when nobody waits
	pressure  chan struct{}                     // holds one when the tail is pressed
}

type tailFrame struct {
	first, last uint64
	bytes       int
}

// Unwritten stands for an owner's records whose rows are not yet handed over. It belongs to
// the Store and is touched under its lock; the owner's actor only keeps it.
type Unwritten struct {
	owner      conversation.Owner
	first      uint64     // number of the first of the records
	groups     []groupRef // where they stand
	only       [1]groupRef
	handedOver bool
	next       *Unwritten
}

// groupRef leads to a group in a frame, so that a customer is read back without reading those
// beside it.
type groupRef struct {
	frame uint64 // the frame's first record
	first uint64 // the group's first record
	at    int    // where the group begins, in bytes of the unpacked frame
	bytes int    // of the group
}

// note counts a group of the owner.
func (t *tail) note(u *Unwritten, o conversation.Owner, g groupRef) *Unwritten {
	if u == nil || u.handedOver {
		u = &Unwritten{owner: o, first: g.first}
		u.groups = u.only[:0] // most have one
		if t.last == nil {
			t.head = u
		} else {
			t.last.next = u
		}
		t.last = u
		t.noted++
	}
	u.groups = append(u.groups, g)
	return u
}

func (t *tail) handOver(u *Unwritten) {
	if u != nil {
		u.handedOver = true
	}
	t.trim()
}

func (t *tail) trim() {
	for t.head != nil && t.head.handedOver {
		t.head = t.head.next
	}
	if t.head == nil {
		t.last = nil
	}
}

// truncateBytes is by how many bytes of frames, by frameWeight, the mark moves at least: each
// deletion is a range that reads have to step over until it is compacted away.
const truncateBytes = 8 << 20

// next tells where the tail may begin with the batch of g, the last open group commit: behind the
// frames all of whose rows are on disk then.
func (t *tail) next(g *groupCommit) (mark uint64) {
	needed := g.last + 1
	if t.head != nil {
		needed = t.head.first
	}
	mark = t.from
	bytes := 0
	for _, f := range t.frames {
		if f.last >= needed {
			break
		}
		mark = f.last + 1
		bytes += f.bytes
	}
	if bytes < truncateBytes && t.head != nil {
		return t.from
	}
	return mark
}

func (t *tail) truncate(mark uint64) {
	n := 0
	for n < len(t.frames) && t.frames[n].last < mark {
		t.bytes -= int64(t.frames[n].bytes)
		n++
	}
	if n > 0 {
		t.frames = append(t.frames[:0], t.frames[n:]...)
	}
	t.from = mark
}

// recordBytes is what a record counts in the tail beside its packed bytes: reading one back
// takes as long as unpacking so many.
const recordBytes = 200

// frameWeight is what a frame costs a restart, in packed bytes.
func frameWeight(first, last uint64, packed int) int {
	return packed + recordBytes*int(last+1-first)
}

func (t *tail) add(frames ...tailFrame) {
	t.frames = append(t.frames, frames...)
	for _, f := range frames {
		t.bytes += int64(f.bytes)
	}
}

// pressed tells whether rows should be written: from three quarters of the bound on. Before,
// services still change and end, and a row would soon be written again; the last quarter is
// for what comes in while they are written.
func (t *tail) pressed(bound int64) bool { return t.bytes > bound/4*3 }

// wake lets those go on who wait for room, and asks for rows.
func (t *tail) wake(bound int64) {
	if t.room != nil && t.bytes < bound {
		close(t.room)
		t.room = nil
	}
	if t.pressed(bound) {
		select {
		case t.pressure <- struct{}{}:
		default:
		}
	}
}

// Pressure holds a value when the tail is near its bound, so that rows should be written.
func (s *Store) Pressure() <-chan struct{} { return s.tail.pressure }

// Pressed tells the same at this moment.
func (s *Store) Pressed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.pressed(s.opts.TailBytes)
}

// rowShare is how many owners Oldest names beside what the last group commit brought: so many
// that the tail shrinks under any load, so few that no answer waits long behind their rows.
const rowShare = 64

// Oldest names the owners that have waited longest for their rows: those whose turn it is in
// one group commit.
func (s *Store) Oldest() []conversation.Owner {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.tail.inLastCommit + rowShare
	owners := make([]conversation.Owner, 0, limit)
	for u := s.tail.head; u != nil && limit > 0; u = u.next {
		if !u.handedOver {
			owners = append(owners, u.owner)
			limit--
		}
	}
	return owners
}

// RoomFor waits while the journal's tail is at its bound, and refuses when the disk has less
// free than its reserve. It stands at the engine's door, before an actor has the request:
// whoever waits here holds nothing that writing rows needs.
func (s *Store) RoomFor(ctx context.Context) error {
	if err := s.space.check(); err != nil {
		return err
	}
	for s.full.Load() {
		s.mu.Lock()
		if s.tail.bytes < s.opts.TailBytes {
			s.mu.Unlock()
			return nil
		}
		if s.tail.room == nil {
			s.tail.room = make(chan struct{})
		}
		room := s.tail.room
		s.mu.Unlock()
		if err := wait(ctx, room); err != nil {
			return err
		}
	}
	return nil
}

// HasRoom tells, without waiting, what RoomFor would say.
func (s *Store) HasRoom() bool { return s.space.check() == nil && !s.full.Load() }

// InTail tells whether the tail that was there at opening has something of the owner, who has
// not been loaded since.
func (s *Store) InTail(o conversation.Owner) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.recovered[o] != nil
}

// mark is the checkpoint: where the journal begins.
type mark struct {
	first    uint64 // number of the first record of the first frame
	reserved uint64 // as in frameHeader
}

func encodeMark(m mark) []byte {
	b := []byte{formatVersion}
	b = binary.AppendUvarint(b, m.first)
	return binary.AppendUvarint(b, m.reserved)
}

func decodeMark(b []byte) (mark, error) {
	r := reader{b: b}
	if v := r.byte(); v != formatVersion {
		return mark{}, fmt.Errorf("mark: version %d, this program writes %d", v, formatVersion)
	}
	m := mark{first: r.uvarint(), reserved: r.uvarint()}
	if r.err != nil || len(r.b) != 0 {
		return mark{}, fmt.Errorf("mark: %d bytes too many, or too few (%v)", len(r.b), r.err)
	}
	return m, nil
}
