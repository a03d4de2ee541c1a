package persist

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrNoSpace: the disk has less free than the reserve. Nothing of the request was kept.
var ErrNoSpace = errors.New("the disk has less free space than the reserve")

const (
	// spaceBytes is how much may be written before the free space is looked at again.
	spaceBytes = 16 << 20
	// spaceEvery is how often a full disk is looked at again.
	spaceEvery = time.Second
)

// space watches the free space of the disk.
type space struct {
	store   *Store
	full    atomic.Bool
	written atomic.Int64 // bytes since the last look

	mu     sync.Mutex // guards what follows
	looked time.Time
}

// used counts bytes written, and looks again after spaceBytes.
func (p *space) used(bytes int) {
	if p.written.Add(int64(bytes)) >= spaceBytes {
		p.look()
	}
}

// check refuses while the disk is full. Nothing is written then, so the one who asks looks,
// once in spaceEvery.
func (p *space) check() error {
	if !p.full.Load() {
		return nil
	}
	p.mu.Lock()
	due := p.store.opts.Now().Sub(p.looked).Abs() >= spaceEvery
	p.mu.Unlock()
	if due {
		p.look()
	}
	if p.full.Load() {
		return ErrNoSpace
	}
	return nil
}

func (p *space) look() {
	if p.store.opts.ReserveBytes < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = p.store.opts.Now()
	p.written.Store(0)
	usage, err := p.store.opts.FS.GetDiskUsage(p.store.opts.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return
	}
	if err != nil {
		p.store.opts.Logf("free space of %s: %v", p.store.opts.Dir, err)
		return
	}
	p.full.Store(usage.AvailBytes < uint64(p.store.opts.ReserveBytes))
}
