package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

const (
	// frameBytes is the size in bytes, before packing, at which a frame takes no further
	// group: a dozen bodies of the page's example. A customer that is read back unpacks a whole
	// frame, 15 µs; 1 MiB would pack by a tenth better.
	frameBytes = 32 << 10
	// commitBytes is the same for the frames of one group commit, and rowBytes for the rows that
	// ride along: more would only hold up the answers in it.
	commitBytes = 1 << 20
	rowBytes    = 1 << 20
	// gatherStep is how long the committer steps back at a time before it takes a group commit
	// that is small beside the last one, gatherMost how long in all, and gatherFrom the messages
	// of one from which it does so: with fewer callers, waiting costs more than a sync.
	gatherStep = 50 * time.Microsecond
	gatherMost = 3 * time.Millisecond
	gatherFrom = 8
	// spareCommits are kept with their buffers: one open, one in sync, one between.
	spareCommits = 3
)

// groupCommit is what goes to disk in one batch with one sync: frames with the records of
// however many customers, and rows of earlier ones.
type groupCommit struct {
	ordinal     uint64 // group commits in the order in which they are opened
	first, last uint64 // numbers of its records; last is first-1 while it has none
	messages    int    // groups of records
	frames      []openFrame
	groups      []byte // of all its frames
	rows        []Row
	rowBytes    int
	synced      chan struct{} // closed once it is on disk
}

// openFrame is where a frame begins: its first record, and the byte of the commit's groups.
type openFrame struct {
	first uint64
	at    int
}

// frame gives the i-th frame: the number of its last record, and its groups.
func (g *groupCommit) frame(i int) (last uint64, groups []byte) {
	last, end := g.last, len(g.groups)
	if i+1 < len(g.frames) {
		last, end = g.frames[i+1].first-1, g.frames[i+1].at
	}
	return last, g.groups[g.frames[i].at:end]
}

// Append puts the records of one message into the journal and gives back the number of the
// last. They are one group: after a crash all of them are there, or none. It waits for
// nothing; the records are on disk once Wait for that number returns. u is the owner's
// Unwritten, or nil; the one that comes back replaces it.
func (s *Store) Append(u *Unwritten, o conversation.Owner, records []conversation.Record) (*Unwritten, uint64) {
	s.mu.Lock()
	g := s.openForRecords()
	u = s.appendTo(g, u, o, records)
	last := g.last
	s.mu.Unlock()
	s.signal()
	return u, last
}

// Side is what one of two owners has of a message.
type Side struct {
	Unwritten *Unwritten
	Owner     conversation.Owner
	Records   []conversation.Record
}

// AppendBoth is Append for a message that concerns two owners: after a crash the records of
// both are there, or none. It puts the new Unwritten into both.
func (s *Store) AppendBoth(a, b *Side) (last uint64) {
	s.mu.Lock()
	g := s.openForRecords()
	a.Unwritten = s.appendTo(g, a.Unwritten, a.Owner, a.Records)
	b.Unwritten = s.appendTo(g, b.Unwritten, b.Owner, b.Records)
	last = g.last
	s.mu.Unlock()
	s.signal()
	return last
}

// appendTo adds a group to g; s.mu is held.
func (s *Store) appendTo(g *groupCommit, u *Unwritten, o conversation.Owner, records []conversation.Record) *Unwritten {
	first, at := s.next, len(g.groups)
	if n := len(g.frames); n == 0 || at-g.frames[n-1].at >= frameBytes {
		g.frames = append(g.frames, openFrame{first, at})
	}
	frame := g.frames[len(g.frames)-1]
	g.messages++
	g.groups = appendGroup(g.groups, o, records)
	s.next += uint64(len(records))
	g.last = s.next - 1
	for i := range records {
		if records[i].Kind == conversation.ServiceStarted {
			s.owners[records[i].Service] = ownerAt{owner: o, number: first + uint64(i)}
		}
	}
	return s.tail.note(u, o, groupRef{frame: frame.first, first: first, at: at - frame.at, bytes: len(g.groups) - at})
}

// openForRecords is the open group commit, or a new one where that is large enough; s.mu is held.
func (s *Store) openForRecords() *groupCommit {
	g := s.openCommit()
	if len(g.groups) >= commitBytes {
		g = s.addCommit()
	}
	return g
}

// WriteRows hands over rows that hold everything their owner's records say up to now: what
// u stood for is done. They go to disk with the open group commit or a later one, never before
// the records they come from. The ordinal that comes back is what RowsWritten takes.
func (s *Store) WriteRows(u *Unwritten, rows []Row) (ordinal uint64) {
	s.mu.Lock()
	g := s.openCommit()
	if g.rowBytes >= rowBytes {
		g = s.addCommit()
	}
	g.rows = append(g.rows, rows...)
	for i := range rows {
		g.rowBytes += len(rows[i].key) + len(rows[i].value)
	}
	s.tail.handOver(u)
	ordinal = g.ordinal
	s.mu.Unlock()
	s.signal()
	return ordinal
}

// RowsWritten tells whether the rows that WriteRows put into the group commit of that ordinal
// are on disk.
func (s *Store) RowsWritten(ordinal uint64) bool { return s.written.Load() >= ordinal }

// openCommit is the group commit that takes what comes; s.mu is held.
func (s *Store) openCommit() *groupCommit {
	if n := len(s.open); n > 0 {
		return s.open[n-1]
	}
	return s.addCommit()
}

func (s *Store) addCommit() *groupCommit {
	g := &groupCommit{}
	if n := len(s.spare); n > 0 {
		g, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	s.ordinal++
	g.ordinal, g.first, g.last, g.synced = s.ordinal, s.next, s.next-1, make(chan struct{})
	s.open = append(s.open, g)
	return g
}

func (s *Store) signal() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// Wait returns once every record up to number is on disk, or with the context's error.
func (s *Store) Wait(ctx context.Context, number uint64) error {
	synced := func() bool { return s.synced.Load() >= number }
	if synced() {
		return nil
	}
	return wait(ctx, s.syncedWith(synced, func(g *groupCommit) bool { return g.last >= number }))
}

// WaitRows does the same for the rows in the group commit of that ordinal.
func (s *Store) WaitRows(ctx context.Context, ordinal uint64) error {
	synced := func() bool { return s.RowsWritten(ordinal) }
	if synced() {
		return nil
	}
	return wait(ctx, s.syncedWith(synced, func(g *groupCommit) bool { return g.ordinal >= ordinal }))
}

// Sync returns once everything handed over before the call is on disk.
func (s *Store) Sync(ctx context.Context) error {
	s.mu.Lock()
	ordinal := s.ordinal
	s.mu.Unlock()
	return s.WaitRows(ctx, ordinal)
}

func wait(ctx context.Context, synced <-chan struct{}) error {
	if synced == nil {
		return nil
	}
	select {
	case <-synced:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// syncedWith is closed with the first group commit of which has is true; nil when synced, asked
// under the lock, says that it is on disk already.
func (s *Store) syncedWith(synced func() bool, has func(*groupCommit) bool) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if synced() {
		return nil
	}
	if g := s.committing; g != nil && has(g) {
		return g.synced
	}
	for _, g := range s.open {
		if has(g) {
			return g.synced
		}
	}
	return nil
}

// commitGroups is the goroutine that writes: one group commit, one batch, one sync, and then the
// next, which has grown in the meantime.
func (s *Store) commitGroups() {
	defer s.done.Done()
	defer func() {
		if r := recover(); r != nil { // Pebble panics when its log cannot be written
			s.fatal(fmt.Errorf("%v", r))
		}
	}()
	c := committer{store: s, batch: s.db.NewBatch()}
	defer func() { _ = c.batch.Close() }()
	for {
		select {
		case <-s.work:
		case <-s.closed:
			for c.commit() {
			}
			return
		}
		for {
			c.gather()
			if !c.commit() {
				break
			}
		}
	}
}

// committer is what the committing goroutine reuses from one to the next.
type committer struct {
	store *Store
	batch *pebble.Batch

	// Reused.
	value   []byte
	written []tailFrame

	lastSync     time.Duration // of the last group commit
	lastMessages int
}

// gather lets a group commit grow that has less than seven eighths of the messages of the last
// one: those whom the last sync released are about to come back, and a sync costs the same for
// one as for a hundred. Without it large and small ones alternate. It takes about as long as the
// last sync did at the most, and never long beside what a caller would notice.
func (c *committer) gather() {
	if c.lastMessages < gatherFrom {
		return
	}
	for began := time.Now(); time.Since(began) < min(c.lastSync, gatherMost); {
		c.store.mu.Lock()
		n := len(c.store.open)
		messages := 0
		if n > 0 {
			messages = c.store.open[0].messages
		}
		c.store.mu.Unlock()
		if n != 1 || 8*messages >= 7*c.lastMessages {
			return
		}
		time.Sleep(gatherStep)
	}
}

// commit puts the oldest group commit on disk; false when there is none.
func (c *committer) commit() bool {
	s := c.store
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return false
	}
	g := s.open[0]
	s.open = append(s.open[:0], s.open[1:]...)
	s.committing = g
	s.tail.inLastCommit, s.tail.noted = s.tail.noted, 0
	reserved := s.reserved.Load()
	from, to := s.tail.from, s.tail.from
	if len(s.open) == 0 { // else rows in a later one may be what the tail no longer waits for
		to = s.tail.next(g)
	}
	s.mu.Unlock()

	c.batch.Reset()
	c.written = c.written[:0]
	for i, f := range g.frames {
		last, groups := g.frame(i)
		c.value = appendFrame(c.value[:0], frameHeader{last: last, reserved: reserved}, groups)
		c.must(c.batch.Set(frameKey(f.first), c.value, nil))
		c.written = append(c.written, tailFrame{first: f.first, last: last, bytes: frameWeight(f.first, last, len(c.value))})
	}
	for i := range g.rows {
		if r := &g.rows[i]; r.value == nil {
			c.must(c.batch.Delete(r.key, nil))
		} else {
			c.must(c.batch.Set(r.key, r.value, nil))
		}
	}
	if to > from {
		c.must(c.batch.Set(markKey, encodeMark(mark{first: to, reserved: reserved}), nil))
	}
	c.must(s.segments.commit(c.batch, g, from, to))
	began := time.Now()
	c.must(c.batch.Commit(pebble.Sync))
	c.lastSync, c.lastMessages = time.Since(began), g.messages
	s.space.used(len(c.batch.Repr()))
	s.settle(g, c.written, to)
	return true
}

// must ends the process on an error of Pebble: after one, nothing it says later is safe.
func (c *committer) must(err error) {
	if err != nil {
		c.store.fatal(err)
	}
}

// settle tells everybody that g is on disk.
func (s *Store) settle(g *groupCommit, written []tailFrame, mark uint64) {
	s.mu.Lock()
	s.tail.add(written...)
	s.synced.Store(g.last)
	s.written.Store(g.ordinal)
	s.tail.truncate(mark)
	s.full.Store(s.tail.bytes >= s.opts.TailBytes)
	for i := range g.rows {
		if r := &g.rows[i]; r.index != 0 && s.owners[r.index].number <= r.last {
			delete(s.owners, r.index)
		}
	}
	s.committing = nil
	synced := g.synced
	if len(s.spare) < spareCommits && cap(g.groups) <= 2*commitBytes {
		clear(g.rows)
		*g = groupCommit{frames: g.frames[:0], groups: g.groups[:0], rows: g.rows[:0]}
		s.spare = append(s.spare, g)
	}
	s.tail.wake(s.opts.TailBytes)
	s.mu.Unlock()
	close(synced)
}
