package persist

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// seen knows, within its memory, of which owners there may be rows. Most calls of a busy day are
// of customers never seen, and asking Pebble for each costs more than deciding what it wants.
//
// A bit stands for all owners whose hashes begin alike. It is set before rows are handed over;
// those that were there at opening are found by a walk over their keys, and until that is
// complete there may be rows of everybody.
type seen struct {
	bits     []atomic.Uint64
	shift    int // of a hash, to the number of its bit
	complete atomic.Bool
	next     []byte // where the walk goes on
}

// minSeenBytes is the least memory for it: a million bits.
const minSeenBytes = 128 << 10

// seenAtOpen is how many rows the walk passes before Open returns: five or six milliseconds. With
// more it goes on beside the requests.
const seenAtOpen = 1 << 15

// begin takes the largest power of two of bits that fits.
func (s *seen) begin(memory int64) {
	words := 1
	for int64(words)*2*8 <= max(memory, minSeenBytes) {
		words *= 2
	}
	s.bits = make([]atomic.Uint64, words)
	s.shift = 64
	for n := words * 64; n > 1; n /= 2 {
		s.shift--
	}
	s.next = []byte{customerTag}
}

func (s *seen) bit(o conversation.Owner) (word *atomic.Uint64, mask uint64) {
	n := Hash(o) >> s.shift
	return &s.bits[n/64], 1 << (n % 64)
}

func (s *seen) add(o conversation.Owner) {
	if word, mask := s.bit(o); word.Load()&mask == 0 {
		word.Or(mask)
	}
}

// mayHaveRows is false where there are certainly none.
func (s *seen) mayHaveRows(o conversation.Owner) bool {
	word, mask := s.bit(o)
	return !s.complete.Load() || word.Load()&mask != 0
}

// Look is a step of the walk over what was there at opening: it passes so many rows. False when
// there is nothing more to do. One step at a time.
func (s *Store) Look(rows int) (more bool, err error) {
	if s.seen.complete.Load() {
		return false, nil
	}
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: s.seen.next, UpperBound: []byte{customerTag + 1}})
	if err != nil {
		return false, fmt.Errorf("look who has rows: %w", err)
	}
	defer iter.Close()
	valid := iter.First()
	for ; valid && rows > 0; valid, rows = iter.Next(), rows-1 {
		o, _, err := readOwner(iter.Key()[1:])
		if err != nil {
			return false, fmt.Errorf("look who has rows: key %x: %w", iter.Key(), err)
		}
		s.seen.add(o)
	}
	if err := iter.Error(); err != nil {
		return false, fmt.Errorf("look who has rows: %w", err)
	}
	if !valid {
		s.seen.complete.Store(true)
		return false, nil
	}
	s.seen.next = bytes.Clone(iter.Key())
	return true, nil
}
