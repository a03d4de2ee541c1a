package persist

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// cachedFrames is how many unpacked frames are kept. After a restart rows are written in the
// order of the journal, so that neighbours come from the same frame.
const cachedFrames = 16

// frameCache keeps the frames last read back, unpacked.
type frameCache struct {
	mu      sync.Mutex // guards entries; held while a frame is read, so that it is read once
	entries []cachedFrame
}

type cachedFrame struct {
	first  uint64
	groups []byte // never changed
}

// get gives the groups of the frame that begins with record first, which is in the tail.
func (c *frameCache) get(db *pebble.DB, first uint64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.entries {
		if e.first == first {
			copy(c.entries[1:i+1], c.entries[:i])
			c.entries[0] = e
			return e.groups, nil
		}
	}
	value, closer, err := db.Get(frameKey(first))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	defer closer.Close()
	_, groups, err := readFrame(value, nil)
	if err != nil {
		return nil, err
	}
	if len(c.entries) < cachedFrames {
		c.entries = append(c.entries, cachedFrame{})
	}
	copy(c.entries[1:], c.entries)
	c.entries[0] = cachedFrame{first: first, groups: groups}
	return groups, nil
}
