package persist

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// cachedFrames is how many unpacked frames are kept. After a restart rows are written in the order
// of the journal, and a walk over ids goes about in that order: neighbours come from the same
// frame.
const cachedFrames = 16

// errNoFrame is what a row that leads to a frame may find who read it without its owner: the owner
// has written it out since.
var errNoFrame = errors.New("the frame is not there")

// frameCache keeps the frames last read back, unpacked.
type frameCache struct {
	mu      sync.Mutex // guards what follows; not held while a frame is read
	entries []*cachedFrame
	spare   [][]byte // for the next ones
}

type cachedFrame struct {
	first  uint64
	groups []byte // never changed while anybody uses it
	users  int    // the cache itself is one
}

// use reads the frame that begins with record first, and has do look at its groups, which it must
// not keep.
func (c *frameCache) use(db *pebble.DB, first uint64, do func(groups []byte) error) error {
	f, err := c.get(db, first)
	if err != nil {
		return err
	}
	defer c.release(f)
	return do(f.groups)
}

func (c *frameCache) get(db *pebble.DB, first uint64) (*cachedFrame, error) {
	c.mu.Lock()
	for i, f := range c.entries {
		if f.first == first {
			copy(c.entries[1:i+1], c.entries[:i])
			c.entries[0] = f
			f.users++
			c.mu.Unlock()
			return f, nil
		}
	}
	var buf []byte
	if n := len(c.spare); n > 0 {
		buf, c.spare = c.spare[n-1], c.spare[:n-1]
	}
	c.mu.Unlock()

	value, closer, err := db.Get(frameKey(first))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fmt.Errorf("frame of record %d: %w", first, errNoFrame)
	}
	if err != nil {
		return nil, fmt.Errorf("frame of record %d: %w", first, err)
	}
	defer closer.Close()
	_, groups, err := readFrame(value, buf)
	if err != nil {
		return nil, fmt.Errorf("frame of record %d: %w", first, err)
	}
	f := &cachedFrame{first: first, groups: groups, users: 2}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = slices.Insert(c.entries, 0, f)
	if len(c.entries) > cachedFrames {
		oldest := c.entries[cachedFrames]
		c.entries[cachedFrames] = nil
		c.entries = c.entries[:cachedFrames]
		c.leave(oldest)
	}
	return f, nil
}

func (c *frameCache) release(f *cachedFrame) {
	c.mu.Lock()
	c.leave(f)
	c.mu.Unlock()
}

// leave ends a use; c.mu is held.
func (c *frameCache) leave(f *cachedFrame) {
	if f.users--; f.users == 0 && len(c.spare) < cachedFrames && cap(f.groups) <= 2*frameBytes {
		c.spare = append(c.spare, f.groups[:0])
	}
}
