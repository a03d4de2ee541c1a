package persist

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// FS is the file system that a Store stands on.
type FS = vfs.FS

// Options configure a Store. All are mandatory, but for FS (the machine's) and Logf (nothing).
type Options struct {
	Dir          string
	FS           FS
	CacheBytes   int64               // Pebble's block cache
	TableBytes   int64               // one of Pebble's four memtables
	SeenBytes    int64               // for knowing who has no rows; at least minSeenBytes are taken
	TailBytes    int64               // of frames whose rows are not written, as frameWeight counts; see RoomFor
	ReserveBytes int64               // free disk space below which RoomFor refuses; negative: not watched
	Timers       conversation.Timers // of which due rows tell
	Now          func() time.Time
	// Fatal is called when the disk failed; it does not return.
	Fatal func(error)
	Logf  func(format string, args ...any)

	// For tests.
	lookAtOpen int    // rows, in place of seenAtOpen
	inSegment  uint64 // records, in place of segmentRecords; always the same in one folder
}

// Store is one open data folder. Its methods may be called by many goroutines. Only its own
// goroutine writes to Pebble.
type Store struct {
	opts   Options
	db     *pebble.DB
	lock   *pebble.Lock
	cache  *pebble.Cache
	space  space
	frames frameCache

	segments segments

	reserved atomic.Uint64 // changed under mu; ids up to here may be handed out
	counters [partitions]atomic.Uint64
	synced   atomic.Uint64 // every record up to here is on disk
	written  atomic.Uint64 // the rows of every group commit up to this ordinal are on disk
	full     atomic.Bool   // the tail has reached its bound

	mu         sync.Mutex     // guards what follows
	next       uint64         // number of the next record
	ordinal    uint64         // of the last group commit opened
	committing *groupCommit   // being written now
	open       []*groupCommit // not yet; the last one takes records and rows
	spare      []*groupCommit
	tail       tail
	owners     map[conversation.ServiceID]ownerAt // of services without an index row on disk that says the same

	seen seen
	due  dueWalk // one at a time, by whoever keeps

	work   chan struct{} // holds one when there may be a group to commit
	closed chan struct{}
	done   sync.WaitGroup
}

// ownerAt is whose a service is since the record of a number. An index row is older than that
// where it was made at a smaller number.
type ownerAt struct {
	owner  conversation.Owner
	number uint64
}

// Open opens the folder, makes it when it does not exist, and reads the journal's tail.
func Open(o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	lock, err := claim(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts:   o,
		lock:   lock,
		owners: make(map[conversation.ServiceID]ownerAt),
		work:   make(chan struct{}, 1),
		closed: make(chan struct{}),
		cache:  pebble.NewCache(o.CacheBytes),
	}
	s.space.store = s
	s.segments.records = cmp.Or(o.inSegment, segmentRecords)
	if err := s.openDB(); err != nil {
		s.cache.Unref()
		return nil, errors.Join(err, lock.Close())
	}
	s.space.look()
	s.done.Add(1)
	go s.commitGroups()
	return s, nil
}

func (s *Store) openDB() (err error) {
	if s.db, err = pebble.Open(s.opts.Dir, s.pebbleOptions()); err != nil {
		return fmt.Errorf("open data folder %s: %w", s.opts.Dir, err)
	}
	s.seen.begin(s.opts.SeenBytes)
	if err = s.recover(); err == nil {
		_, err = s.Look(cmp.Or(s.opts.lookAtOpen, seenAtOpen))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open data folder %s: %w", s.opts.Dir, err), s.db.Close())
	}
	return nil
}

// Close writes what was appended and closes the folder. Nothing may be appended any more.
func (s *Store) Close() error {
	close(s.closed)
	s.done.Wait()
	err := s.db.Close()
	s.cache.Unref()
	return errors.Join(err, s.lock.Close())
}

// fatal is where every failure of the disk ends: nothing is acknowledged after it.
func (s *Store) fatal(err error) {
	s.opts.Fatal(fmt.Errorf("the disk failed under %s: %w", s.opts.Dir, err))
	select {} // Fatal must not return; if it does, no answer leaves here all the same
}
