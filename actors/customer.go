package actors

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// customer is an awake customer: actor, mailbox and domain in one struct, which is what an
// awake customer costs.
type customer struct {
	mailbox
	shard   *shard
	sibling *customer // another one in the shard with the same hash; guarded by shard.mu
	invoker actor.MessageInvoker
	waiting atomic.Int32 // messages in the mailbox or in service
	used    atomic.Bool  // since the sleeper last came by

	// Touched only inside Receive and by who serves the mailbox.
	domain    conversation.Customer
	loaded    bool                   // domain is what rows and tail say
	sleepy    bool                   // retire when the mailbox is empty
	settles   bool                   // there may be what rows on disk let be forgotten
	heldBy    *Message               // the message that stops the mailbox, while it is being served
	unwritten *persist.Unwritten     // its records whose rows are not handed over
	watermark uint64                 // number of its last record
	rows      uint64                 // the group commit that carries its last rows
	due       conversation.Instant   // nothing happens by itself before; 0 for never
	newID     conversation.ServiceID // for its next service; taken before deciding
	bytes     int64                  // what it is counted as in memory
}

// What an awake customer is counted as, beside its details: measured, rounded up.
const (
	customerBytes = 520
	serviceBytes  = 300
	partBytes     = 90
)

// Receive serves one message. protoactor's own messages (Started, Stopping, Stopped) say
// nothing that matters here.
func (c *customer) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(*Message)
	if !ok || !m.phase.CompareAndSwap(waiting, takenUp) {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.fault(m, r)
		}
		if m.task == hold {
			c.heldBy = m // who serves the mailbox hands it over, and answers then
			return
		}
		m.decided <- struct{}{}
	}()
	c.turn(m)
}

// fault answers for a panic. Whatever was half done is forgotten with what is in memory: the
// journal has nothing of it, and the next message builds the customer anew. Supervision is
// not relied on: it stops an actor that fails often.
func (c *customer) fault(m *Message, r any) {
	c.shard.directory.opts.Logf("a fault while serving %v: %v\n%s", c.domain.Owner, r, debug.Stack())
	c.forget()
	m.Outcome, m.Services, m.Err, m.Watermark = conversation.Outcome{}, nil, fmt.Errorf("%w: %v", ErrFault, r), 0
}

func (c *customer) forget() {
	c.domain = conversation.Customer{Owner: c.domain.Owner}
	c.loaded = false
	c.count(customerBytes)
}

// turn: first the customer is as it is at this instant, then m.
func (c *customer) turn(m *Message) {
	if m.Err = c.load(); m.Err != nil {
		return
	}
	if m.Err = c.bring(m.target()); m.Err != nil {
		return
	}
	m.Now = c.shard.directory.opts.Now()
	c.letDue(m.Now)
	switch {
	case m.task != noTask:
		c.do(m)
		return
	case m.event != nil:
		c.decide(m)
	default:
		c.read(m)
	}
	m.Watermark = c.watermark
	c.endTurn()
}

// endTurn looks after what the customer holds in memory.
func (c *customer) endTurn() {
	c.used.Store(true)
	c.settle()
	if c.domain.Settling() >= settlingAtMost && c.shard.directory.store.RowsWritten(c.rows) {
		c.writeRows(nil) // else one that starts and ends services all day would keep them all
	}
}

// do is what the directory itself asks.
func (c *customer) do(m *Message) {
	switch m.task {
	case writeRows:
		c.writeRows(nil)
	case fallAsleep:
		c.writeRows(nil)
		c.sleepy = true
	case sweep:
		c.sweep(m.due)
	case writeOut:
		if s := c.domain.Service(m.due.Service); s != nil {
			s.Changed = true
		}
		c.writeRows([]persist.Row{})
	}
}

// settlingAtMost is how many completed and deleted services wait in memory for their rows: few,
// since every turn looks over them.
const settlingAtMost = 64

// settle forgets completed and deleted services once their rows are on disk, where there may be
// any such.
func (c *customer) settle() {
	if c.domain.Settling() == 0 || !c.settles || !c.shard.directory.store.RowsWritten(c.rows) {
		return
	}
	bytes := c.bytes
	for _, s := range c.domain.Settle() {
		bytes -= memoryOf(s)
	}
	c.count(bytes)
	c.settles = false
}

// load builds the customer from its rows and the journal's tail. What it appended before a
// fault must be on disk for that.
func (c *customer) load() error {
	if c.loaded {
		return nil
	}
	store := c.shard.directory.store
	if c.watermark > 0 {
		if err := store.Sync(context.Background()); err != nil {
			return err
		}
	}
	unwritten, last, err := store.Load(&c.domain, c.unwritten)
	if err != nil {
		c.forget() // but not what its records wait for: the next try needs it
		return err
	}
	c.unwritten, c.watermark = unwritten, max(c.watermark, last)
	c.loaded = true
	c.due = c.domain.Due(c.shard.directory.opts.Timers)
	c.recount()
	return nil
}

// letDue lets happen what is due.
func (c *customer) letDue(now conversation.Instant) {
	if c.due == 0 || now < c.due {
		return
	}
	c.keep(conversation.DecideDue(&c.domain, c.stamp(now), nil))
	c.due = c.domain.Due(c.shard.directory.opts.Timers)
}

func (c *customer) stamp(now conversation.Instant) conversation.Stamp {
	o := &c.shard.directory.opts
	return conversation.Stamp{Now: now, ServiceID: c.newID, Bounds: o.Bounds, Timers: o.Timers}
}

// decide: stamp, decide, and keep what was decided.
func (c *customer) decide(m *Message) {
	if c.newID == 0 {
		c.newID = c.shard.directory.store.NewServiceID(c.domain.Owner)
	}
	records, outcome, err := conversation.Decide(&c.domain, m.event, c.stamp(m.Now), m.records[:0])
	if m.Outcome, m.Err = outcome, err; err != nil || len(records) == 0 {
		return
	}
	m.records = records
	c.keep(records)
	if outcome.ServiceCreated {
		c.newID = 0
	}
}

// keep applies records and then appends them to the journal. Nothing is there until all have
// been applied, and nobody is told before they are.
func (c *customer) keep(records []conversation.Record) {
	if len(records) == 0 {
		return
	}
	c.apply(records)
	c.unwritten, c.watermark = c.shard.directory.store.Append(c.unwritten, c.domain.Owner, records)
}

// apply makes the records the customer's own, and counts what they add.
func (c *customer) apply(records []conversation.Record) {
	size := 0
	for i := range records {
		size += len(records[i].Details)
	}
	bytes := c.bytes
	buf := make([]byte, size)
	for i := range records {
		r := &records[i]
		buf = r.Own(buf)
		bytes -= memoryOf(c.domain.Service(r.Service))
		c.domain.Apply(r)
		s := c.domain.Service(r.Service)
		bytes += memoryOf(s)
		if s != nil {
			c.due = conversation.Sooner(c.due, s.Due(c.shard.directory.opts.Timers))
		}
	}
	c.count(bytes)
}

// bring gets a completed service from its row, so that a late event finds it. It leaves
// again with settle.
func (c *customer) bring(id conversation.ServiceID) error {
	if id == 0 || c.domain.Service(id) != nil || c.domain.Gone(id) != nil {
		return nil
	}
	s, last, err := c.shard.directory.store.CompletedService(c.domain.Owner, id)
	if err == nil && s != nil {
		c.domain.Add(s)
		c.watermark = max(c.watermark, last)
		c.due = conversation.Sooner(c.due, s.Due(c.shard.directory.opts.Timers))
		c.settles = true
		c.count(c.bytes + memoryOf(s))
	}
	return err
}

func (c *customer) read(m *Message) {
	if id := m.read.Service; id != 0 {
		s := c.domain.Service(id)
		if s == nil {
			m.Err = conversation.NoService(id)
			return
		}
		m.Services = []*conversation.Service{s.Clone()}
		return
	}
	for _, s := range c.domain.Services() {
		if s.Completed == nil && m.read.Active || s.Completed != nil && m.read.Completed {
			m.Services = append(m.Services, s.Clone())
		}
	}
	if m.read.Completed {
		m.Gone = slices.Collect(maps.Keys(c.domain.AllGone()))
		m.Completed, m.Err = c.shard.directory.store.Completed(c.domain.Owner)
	}
}

// writeRows hands over the rows of what has changed, behind those given, if there are any.
func (c *customer) writeRows(rows []persist.Row) {
	if c.unwritten == nil && rows == nil {
		return
	}
	if cap(rows) == 0 {
		rows = make([]persist.Row, 0, 2*len(c.domain.Services()))
	}
	store := c.shard.directory.store
	if gone := c.domain.AllGone(); len(gone) > 0 {
		for _, id := range slices.Sorted(maps.Keys(gone)) {
			if g := gone[id]; !g.HandedOver {
				rows = persist.AppendGone(rows, c.domain.Owner, id, g, c.watermark)
				g.HandedOver = true
			}
		}
	}
	for _, s := range c.domain.Services() { // behind those gone: one may have come back
		if s.Changed {
			rows = store.AppendRows(rows, c.unwritten, c.domain.Owner, s, c.watermark)
		}
	}
	c.rows = store.WriteRows(c.unwritten, rows)
	c.unwritten, c.settles = nil, true
}

// sweep follows a due row: what is due has happened by now. Where the service is still here
// its row is written with the due row that is right; where it is not, its new owner's was.
func (c *customer) sweep(due persist.Due) {
	var rows []persist.Row
	if s := c.domain.Service(due.Service); s != nil {
		rows = persist.AppendVisited(rows, due)
		s.Changed, s.DueRow = true, 0
	}
	c.writeRows(rows)
	c.settle()
}

// retire lets the customer sleep, if nothing came in and everything it holds is in rows on
// disk. Who serves the mailbox calls it.
func (c *customer) retire() bool {
	c.sleepy = false
	d := c.shard.directory
	if c.unwritten != nil || !d.store.RowsWritten(c.rows) {
		return false
	}
	c.shard.mu.Lock()
	asleep := c.word.CompareAndSwap(running, retired)
	if asleep {
		c.shard.remove(c)
	}
	c.shard.mu.Unlock()
	if asleep {
		c.count(0)
	}
	return asleep
}

func (c *customer) recount() {
	bytes := int64(customerBytes)
	for _, s := range c.domain.Services() {
		bytes += memoryOf(s)
	}
	c.count(bytes)
}

// memoryOf is what a service is counted as; nothing for nil.
func memoryOf(s *conversation.Service) int64 {
	if s == nil {
		return 0
	}
	return serviceBytes + int64(s.Bytes) + partBytes*int64(len(s.States)+len(s.Tasks))
}

func (c *customer) count(bytes int64) {
	c.shard.directory.awake(bytes - c.bytes)
	c.bytes = bytes
}
