package persist

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// formatVersion stands first in every frame, row and mark. Until the first tagged release
// there is one.
const formatVersion = 1

// maxFrameRaw bounds what a frame may unpack to, so that a wrong length is an error and not an
// allocation: a frame is cut at frameBytes, or after one group, which at the most holds a whole
// service that goes to another customer.
const maxFrameRaw = frameBytes + maxRowRaw

// frameHeader is what stands before a frame's groups.
type frameHeader struct {
	last     uint64 // number of its last record; the first is in the key
	reserved uint64 // ids up to here may be handed out, in every partition
}

// appendFrame writes a frame's value: version, header, and the groups packed as one block.
func appendFrame(to []byte, h frameHeader, groups []byte) []byte {
	to = append(to, formatVersion)
	to = binary.AppendUvarint(to, h.last)
	to = binary.AppendUvarint(to, h.reserved)
	return appendPacked(to, groups)
}

// appendPacked adds raw as one s2 block.
func appendPacked(to, raw []byte) []byte {
	at := len(to)
	to = slices.Grow(to, s2.MaxEncodedLen(len(raw)))
	return to[:at+len(s2.Encode(to[at:cap(to)], raw))]
}

func readFrame(value, into []byte) (h frameHeader, groups []byte, err error) {
	r := reader{b: value}
	if v := r.byte(); v != formatVersion {
		return h, nil, fmt.Errorf("version %d, this program writes %d", v, formatVersion)
	}
	h.last, h.reserved = r.uvarint(), r.uvarint()
	if r.err != nil {
		return h, nil, r.err
	}
	groups, err = unpack(into, r.b, maxFrameRaw)
	return h, groups, err
}

// unpack reads an s2 block of at most so many bytes, into the memory given where that is enough.
func unpack(into, packed []byte, most int) ([]byte, error) {
	n, err := s2.DecodedLen(packed)
	if err != nil || n > most {
		return nil, fmt.Errorf("unpacks to %d bytes, the bound is %d (%v)", n, most, err)
	}
	if cap(into) < n {
		into = make([]byte, n)
	}
	return s2.Decode(into[:n], packed)
}

// appendGroup writes the records of one message: its length, then for its owner the records.
func appendGroup(to []byte, o conversation.Owner, records []conversation.Record) []byte {
	at := len(to)
	to = append(to, 0, 0, 0, 0)
	to = appendOwner(to, o)
	to = binary.AppendUvarint(to, uint64(len(records)))
	for i := range records {
		to = appendRecord(to, &records[i])
	}
	binary.LittleEndian.PutUint32(to[at:], uint32(len(to)-at-4))
	return to
}

// group is one message's records as they stand in a frame.
type group struct {
	owner conversation.Owner
	first uint64 // number of its first record
	count uint64
	bytes int // as it stands there
	body  reader
}

// readGroup reads the group at the start of b, whose first record has the number first, and
// what follows it.
func readGroup(b []byte, first uint64) (g group, rest []byte, err error) {
	if len(b) < 4 {
		return g, nil, errTorn
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return g, nil, errTorn
	}
	owner, body, err := readOwner(b[4 : 4+n])
	if err != nil {
		return g, nil, err
	}
	g = group{owner: owner, first: first, bytes: 4 + int(n), body: reader{b: body}}
	g.count = g.body.uvarint()
	return g, b[4+n:], g.body.err
}

// eachGroup walks a frame's groups in order, and checks that their records are just those
// that the frame's numbers say. at is where a group begins.
func eachGroup(first uint64, h frameHeader, groups []byte, do func(g *group, at int) error) error {
	next := first
	for rest := groups; len(rest) > 0; {
		g, after, err := readGroup(rest, next)
		if err != nil {
			return err
		}
		if err := do(&g, len(groups)-len(rest)); err != nil {
			return err
		}
		next += g.count
		rest = after
	}
	if next != h.last+1 {
		return fmt.Errorf("holds records %d to %d, its header says %d", first, next-1, h.last)
	}
	return nil
}

// eachRecord reads the group's records in order, with their numbers.
func (g *group) eachRecord(do func(number uint64, r *conversation.Record) error) error {
	body := g.body
	var r conversation.Record
	for i := range g.count {
		body.record(&r)
		if body.err != nil {
			return fmt.Errorf("record %d: %w", g.first+i, body.err)
		}
		if err := do(g.first+i, &r); err != nil {
			return err
		}
	}
	if len(body.b) != 0 {
		return fmt.Errorf("group of records %d to %d: %d bytes too many", g.first, g.first+g.count-1, len(body.b))
	}
	return nil
}
