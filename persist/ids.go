package persist

import (
	"fmt"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

const (
	partitions = 1 << partitionBits
	// maxServiceID keeps ids exact in JavaScript.
	maxServiceID = 1<<53 - 1
	// idBlock is how many ids of each partition are reserved at a time. A restart skips what
	// is left of a block; 2^41 / 65,536 blocks last for 33 million restarts.
	idBlock = 1 << 16
)

// NewServiceID gives an id that nobody was ever told of, whatever crashed in between: the
// owner's partition, and above it a counter of that partition. The counter never passes what
// the next frame's header will reserve, and starts there after a restart, so that an id that
// reached anybody is behind it. Safe for use by many goroutines.
func (s *Store) NewServiceID(o conversation.Owner) conversation.ServiceID {
	partition := Hash(o) >> (64 - partitionBits)
	n := s.counters[partition].Add(1)
	if n > s.reserved.Load() {
		s.reserve(n)
	}
	id := n<<partitionBits | partition
	if id > maxServiceID {
		panic(fmt.Sprintf("persist: partition %d has no ids left", partition))
	}
	return conversation.ServiceID(id)
}

// reserve raises the bound before the id is used, and so before any record that holds it can
// be in a frame; every frame carries the bound of the moment at which it is cut.
func (s *Store) reserve(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n > s.reserved.Load() {
		s.reserved.Add(idBlock)
	}
}

func (s *Store) startCounters(reserved uint64) {
	s.reserved.Store(reserved)
	for i := range s.counters {
		s.counters[i].Store(reserved)
	}
}
