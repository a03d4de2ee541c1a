package actors

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// customer is an awake customer: actor, mailbox and domain in one struct, which is what an
// awake customer costs.
type customer struct {
	mailbox
	directory  *Directory
	shard      *shard
	pid        *actor.PID
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	waiting    atomic.Int32 // messages in the mailbox or in service
	used       atomic.Bool  // since the sleeper last came by

	// Touched only inside Receive and by who serves the mailbox.
	domain    conversation.Customer
	loaded    bool                   // domain is what rows and tail say
	sleepy    bool                   // retire when the mailbox is empty
	unwritten *persist.Unwritten     // its records whose rows are not handed over
	watermark uint64                 // number of its last record
	rows      uint64                 // the frame that carries its last rows
	dropped   uint64                 // the frame whose rows let completed services be dropped last
	brought   bool                   // a completed service was read from its row
	newID     conversation.ServiceID // for its next service; taken before deciding
	bytes     int64                  // what it is counted as in memory
}

// What an awake customer is counted as, beside its details: measured, rounded up.
const (
	customerBytes = 700
	serviceBytes  = 450
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
		m.decided <- struct{}{}
	}()
	c.turn(m)
}

// fault answers for a panic. Whatever was half done is forgotten with what is in memory: the
// journal has nothing of it, and the next message builds the customer anew. Supervision is
// not relied on: it stops an actor that fails often.
func (c *customer) fault(m *Message, r any) {
	c.directory.opts.Logf("a fault while serving %v: %v\n%s", c.domain.Owner, r, debug.Stack())
	c.forget()
	m.Outcome, m.Services, m.Err, m.Watermark = conversation.Outcome{}, nil, fmt.Errorf("%w: %v", ErrFault, r), 0
}

func (c *customer) forget() {
	c.domain = conversation.Customer{Owner: c.domain.Owner}
	c.loaded = false
	c.count(customerBytes)
}

func (c *customer) turn(m *Message) {
	if m.Err = c.load(); m.Err != nil {
		return
	}
	switch {
	case m.task != noTask:
		c.writeRows()
		c.sleepy = m.task == fallAsleep
		return
	case m.event != nil:
		c.decide(m)
	default:
		c.read(m)
	}
	c.used.Store(true)
	m.Watermark = c.watermark
	c.dropCompleted()
	if c.domain.Completed() >= completedAtMost && c.directory.store.RowsWritten(c.rows) {
		c.writeRows() // else one that starts and ends services all day would keep them all
	}
}

// completedAtMost is how many completed services wait in memory for their rows: few, since
// every turn looks over them.
const completedAtMost = 64

// dropCompleted forgets completed services once their rows are on disk, where there may be any
// such.
func (c *customer) dropCompleted() {
	if c.domain.Completed() == 0 || !c.brought && c.rows == c.dropped || !c.directory.store.RowsWritten(c.rows) {
		return
	}
	c.domain.DropCompleted()
	c.recount()
	c.dropped, c.brought = c.rows, false
}

// load builds the customer from its rows and the journal's tail. What it appended before a
// fault must be on disk for that.
func (c *customer) load() error {
	if c.loaded {
		return nil
	}
	store := c.directory.store
	if c.watermark > 0 {
		if err := store.Sync(context.Background()); err != nil {
			return err
		}
	}
	unwritten, last, err := store.Load(&c.domain, c.unwritten)
	c.unwritten, c.watermark = unwritten, max(c.watermark, last)
	if err != nil {
		c.forget()
		return err
	}
	c.loaded = true
	c.recount()
	return nil
}

// decide: stamp, decide, apply, append. Nothing is in the journal until the records have been
// applied, and nothing has happened before they are.
func (c *customer) decide(m *Message) {
	if m.Err = c.bring(conversation.Target(m.event)); m.Err != nil {
		return
	}
	d := c.directory
	if c.newID == 0 {
		c.newID = d.store.NewServiceID(c.domain.Owner)
	}
	stamp := conversation.Stamp{Now: d.opts.Now(), ServiceID: c.newID, Bounds: d.opts.Bounds}
	records, outcome, err := conversation.Decide(&c.domain, m.event, stamp, m.records[:0])
	if m.Outcome, m.Err = outcome, err; err != nil || len(records) == 0 {
		return
	}
	m.records = records
	size := 0
	for i := range records {
		size += len(records[i].Details)
	}
	bytes := c.bytes + int64(size)
	buf := make([]byte, size)
	for i := range records {
		buf = records[i].Own(buf)
		c.domain.Apply(&records[i])
		if bytes += partBytes; records[i].Kind == conversation.ServiceStarted {
			bytes += serviceBytes
		}
	}
	if outcome.ServiceCreated {
		c.newID = 0
	}
	c.unwritten, c.watermark = d.store.Append(c.unwritten, c.domain.Owner, records)
	c.count(bytes)
}

// bring gets a completed service from its row, so that a late event finds it. It leaves
// again with DropCompleted.
func (c *customer) bring(id conversation.ServiceID) error {
	if id == 0 || c.domain.Service(id) != nil {
		return nil
	}
	s, err := c.directory.store.CompletedService(c.domain.Owner, id)
	if err == nil && s != nil {
		c.domain.Add(s)
		c.brought = true
	}
	return err
}

func (c *customer) read(m *Message) {
	if id := m.read.Service; id != 0 {
		if m.Err = c.bring(id); m.Err != nil {
			return
		}
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
		m.Completed, m.Err = c.directory.store.Completed(c.domain.Owner)
	}
}

// writeRows hands over the rows of what has changed.
func (c *customer) writeRows() {
	if c.unwritten == nil {
		return
	}
	var rows []persist.Row
	for _, s := range c.domain.Services() {
		if s.Changed {
			rows = persist.AppendRows(rows, c.domain.Owner, s, c.watermark)
			s.Changed, s.Written = false, true
		}
	}
	c.rows = c.directory.store.WriteRows(c.unwritten, rows)
	c.unwritten = nil
}

// retire lets the customer sleep, if nothing came in and everything it holds is in rows on
// disk. Who serves the mailbox calls it. The name in protoactor's registry is freed after the
// directory's, and nobody looks there.
func (c *customer) retire() bool {
	c.sleepy = false
	d := c.directory
	if c.unwritten != nil || !d.store.RowsWritten(c.rows) {
		return false
	}
	c.shard.mu.Lock()
	asleep := c.word.CompareAndSwap(running, retired)
	if asleep {
		delete(c.shard.customers, c.domain.Owner)
	}
	c.shard.mu.Unlock()
	if asleep {
		c.count(0)
		d.system.Root.Stop(c.pid)
	}
	return asleep
}

func (c *customer) recount() {
	bytes := int64(customerBytes)
	for _, s := range c.domain.Services() {
		bytes += serviceBytes + int64(len(s.Details))
		for i := range s.States {
			bytes += partBytes + int64(len(s.States[i].Details))
		}
		for i := range s.Tasks {
			bytes += partBytes + int64(len(s.Tasks[i].Details))
		}
	}
	c.count(bytes)
}

func (c *customer) count(bytes int64) {
	c.directory.awake(bytes - c.bytes)
	c.bytes = bytes
}
