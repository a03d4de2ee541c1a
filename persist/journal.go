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
	// group: four hundred bodies of the page's example. More packs no better, and a customer
	// that is read back from the tail unpacks a whole frame.
	frameBytes = 1 << 20
	// rowBytes is the same for the rows that ride along.
	rowBytes = 1 << 20
	// gatherStep is how long the committer steps back at a time before it cuts a frame that
	// is small beside the last one, gatherMost how long in all, and gatherFrom the messages of
	// a frame from which it does so: with fewer callers, waiting costs more than a sync.
	gatherStep = 50 * time.Microsecond
	gatherMost = 3 * time.Millisecond
	gatherFrom = 8
	// spareFrames are kept with their buffers: one open, one in sync, one between.
	spareFrames = 3
)

// frame is one group commit: records of however many customers, and rows of earlier ones.
type frame struct {
	ordinal     uint64 // frames in the order in which they are opened
	first, last uint64 // numbers of its records; last is first-1 while it has none
	messages    int    // groups of records
	groups      []byte
	rows        []Row
	rowBytes    int
	synced      chan struct{} // closed once it is on disk
}

// Append puts the records of one message into the journal and gives back the number of the
// last. They are one group: after a crash all of them are there, or none. It waits for
// nothing; the records are on disk once Wait for that number returns. u is the owner's
// Unwritten, or nil; the one that comes back replaces it.
func (s *Store) Append(u *Unwritten, o conversation.Owner, records []conversation.Record) (*Unwritten, uint64) {
	s.mu.Lock()
	f := s.frameForRecords()
	u = s.appendTo(f, u, o, records)
	last := f.last
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
	f := s.frameForRecords()
	a.Unwritten = s.appendTo(f, a.Unwritten, a.Owner, a.Records)
	b.Unwritten = s.appendTo(f, b.Unwritten, b.Owner, b.Records)
	last = f.last
	s.mu.Unlock()
	s.signal()
	return last
}

// appendTo adds a group to f; s.mu is held.
func (s *Store) appendTo(f *frame, u *Unwritten, o conversation.Owner, records []conversation.Record) *Unwritten {
	first := s.next
	at := len(f.groups)
	f.messages++
	f.groups = appendGroup(f.groups, o, records)
	s.next += uint64(len(records))
	f.last = s.next - 1
	for i := range records {
		if records[i].Kind == conversation.ServiceStarted {
			s.owners[records[i].Service] = ownerAt{owner: o, number: first + uint64(i)}
		}
	}
	return s.tail.note(u, o, groupRef{frame: f.first, first: first, at: at})
}

// frameForRecords is the open frame, or a new one where that is large enough; s.mu is held.
func (s *Store) frameForRecords() *frame {
	f := s.openFrame()
	if len(f.groups) >= frameBytes {
		f = s.addFrame()
	}
	return f
}

// WriteRows hands over rows that hold everything their owner's records say up to now: what
// u stood for is done. They go to disk with the open frame or a later one, never before the
// records they come from. The ordinal that comes back is what RowsWritten takes.
func (s *Store) WriteRows(u *Unwritten, rows []Row) (ordinal uint64) {
	s.mu.Lock()
	f := s.openFrame()
	if f.rowBytes >= rowBytes {
		f = s.addFrame()
	}
	f.rows = append(f.rows, rows...)
	for i := range rows {
		f.rowBytes += len(rows[i].key) + len(rows[i].value)
	}
	s.tail.handOver(u)
	ordinal = f.ordinal
	s.mu.Unlock()
	s.signal()
	return ordinal
}

// RowsWritten tells whether the rows that WriteRows put into the frame of that ordinal are
// on disk.
func (s *Store) RowsWritten(ordinal uint64) bool { return s.written.Load() >= ordinal }

// openFrame is the frame that takes what comes; s.mu is held.
func (s *Store) openFrame() *frame {
	if n := len(s.open); n > 0 {
		return s.open[n-1]
	}
	return s.addFrame()
}

func (s *Store) addFrame() *frame {
	f := &frame{}
	if n := len(s.spare); n > 0 {
		f, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	s.ordinal++
	f.ordinal, f.first, f.last, f.synced = s.ordinal, s.next, s.next-1, make(chan struct{})
	s.open = append(s.open, f)
	return f
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
	return wait(ctx, s.syncedWith(synced, func(f *frame) bool { return f.last >= number }))
}

// WaitRows does the same for the rows in the frame of that ordinal.
func (s *Store) WaitRows(ctx context.Context, ordinal uint64) error {
	synced := func() bool { return s.RowsWritten(ordinal) }
	if synced() {
		return nil
	}
	return wait(ctx, s.syncedWith(synced, func(f *frame) bool { return f.ordinal >= ordinal }))
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

// syncedWith is closed with the first frame of which has is true; nil when synced, asked under
// the lock, says that it is on disk already.
func (s *Store) syncedWith(synced func() bool, has func(*frame) bool) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if synced() {
		return nil
	}
	if f := s.cutting; f != nil && has(f) {
		return f.synced
	}
	for _, f := range s.open {
		if has(f) {
			return f.synced
		}
	}
	return nil
}

// commitFrames is the goroutine that writes: one frame, one batch, one sync, and then the
// next, which has grown in the meantime.
func (s *Store) commitFrames() {
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

// committer is what the committing goroutine reuses from frame to frame.
type committer struct {
	store *Store
	batch *pebble.Batch
	value []byte

	lastSync     time.Duration // of the last frame
	lastMessages int
}

// gather lets a frame grow that has less than seven eighths of the messages of the last one:
// those whom the last sync released are about to come back, and a sync costs the same for one
// as for a hundred. Without it large and small frames alternate. It takes about as long as the
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

// commit cuts the oldest frame and puts it on disk; false when there is none.
func (c *committer) commit() bool {
	s := c.store
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return false
	}
	f := s.open[0]
	s.open = append(s.open[:0], s.open[1:]...)
	s.cutting = f
	s.tail.inLastFrame, s.tail.noted = s.tail.noted, 0
	reserved := s.reserved.Load()
	var cut truncation
	if len(s.open) == 0 { // else rows in a later frame may be what the tail no longer waits for
		cut = s.tail.truncation(f)
	}
	s.mu.Unlock()

	c.batch.Reset()
	packed := 0
	if f.last >= f.first {
		c.value = appendFrame(c.value[:0], frameHeader{last: f.last, reserved: reserved}, f.groups)
		packed = len(c.value)
		c.must(c.batch.Set(frameKey(f.first), c.value, nil))
	}
	for i := range f.rows {
		if r := &f.rows[i]; r.value == nil {
			c.must(c.batch.Delete(r.key, nil))
		} else {
			c.must(c.batch.Set(r.key, r.value, nil))
		}
	}
	if cut.to > cut.from {
		c.must(c.batch.DeleteRange(frameKey(cut.from), frameKey(cut.to), nil))
		c.must(c.batch.Set(markKey, encodeMark(mark{first: cut.to, reserved: reserved}), nil))
	}
	began := time.Now()
	c.must(c.batch.Commit(pebble.Sync))
	c.lastSync, c.lastMessages = time.Since(began), f.messages
	s.space.used(len(c.batch.Repr()))
	s.settle(f, packed, cut)
	return true
}

// must ends the process on an error of Pebble: after one, nothing it says later is safe.
func (c *committer) must(err error) {
	if err != nil {
		c.store.fatal(err)
	}
}

// settle tells everybody that f is on disk.
func (s *Store) settle(f *frame, packed int, cut truncation) {
	s.mu.Lock()
	if f.last >= f.first {
		s.tail.add(tailFrame{first: f.first, last: f.last, bytes: frameWeight(f.first, f.last, packed)})
		s.synced.Store(f.last)
	}
	s.written.Store(f.ordinal)
	s.tail.truncate(cut)
	s.full.Store(s.tail.bytes >= s.opts.TailBytes)
	for i := range f.rows {
		if r := &f.rows[i]; r.index != 0 && s.owners[r.index].number <= r.last {
			delete(s.owners, r.index)
		}
	}
	s.cutting = nil
	synced := f.synced
	if len(s.spare) < spareFrames && cap(f.groups) <= 2*frameBytes {
		clear(f.rows)
		*f = frame{groups: f.groups[:0], rows: f.rows[:0]}
		s.spare = append(s.spare, f)
	}
	s.tail.wake(s.opts.TailBytes)
	s.mu.Unlock()
	close(synced)
}
