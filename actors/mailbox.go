package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is the whole of a customer's scheduling: one word. It is nil while the customer is
// idle, the mark running while somebody serves it, a stack of messages on top of that mark
// while others wait, and the mark retired once it sleeps, for good.
//
// A sender that finds it idle serves its own message on its own goroutine, so that a customer
// whom one caller asks costs no switch; others leave theirs and are served in the order in
// which they came. A sender that finds it retired is told so and asks the directory again.
// protoactor's own mailboxes drop such a message in silence, and so would a name freed by
// Stop: the word cannot go to retired while a message is in it, so nothing is ever lost.
type mailbox struct {
	word atomic.Pointer[Message]
}

var running, retired = new(Message), new(Message) // marks, told apart by their addresses

// post leaves m; false when the mailbox has retired. mine tells that it was idle: then the
// caller must serve m.
func (b *mailbox) post(m *Message) (mine, accepted bool) {
	for {
		top := b.word.Load()
		switch top {
		case retired:
			return false, false
		case nil:
			if b.word.CompareAndSwap(nil, running) {
				m.next = nil // of an attempt that came too late
				return true, true
			}
		default:
			m.next = top
			if b.word.CompareAndSwap(top, m) {
				return false, true
			}
		}
	}
}

// more takes the messages that came meanwhile, oldest first; with none the mailbox is idle
// again, and nil comes back.
func (b *mailbox) more() *Message {
	if b.word.CompareAndSwap(running, nil) {
		return nil
	}
	var oldest *Message
	for m := b.word.Swap(running); m != running; {
		m, m.next, oldest = m.next, oldest, m
	}
	return oldest
}

// The methods that protoactor calls. Only Started, at the spawn, and Stop, after retirement,
// ever arrive as system messages: no one else has the PID. Both come when nobody serves the
// customer, so they are invoked at once.

// PostSystemMessage invokes a system message.
func (c *customer) PostSystemMessage(message any) { c.invoker.InvokeSystemMessage(message) }

// PostUserMessage is not used: a message reaches a customer through the directory alone,
// which must hear when it has retired.
func (c *customer) PostUserMessage(message any) {
	panic("actors: a message past the directory")
}

// RegisterHandlers is called once, before Started.
func (c *customer) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	c.invoker = invoker
}

// Start does nothing: there is nothing queued before a spawn ends.
func (c *customer) Start() {}

// UserMessageCount is the messages waiting and in service.
func (c *customer) UserMessageCount() int { return int(c.waiting.Load()) }

// serve runs the mailbox until it is empty, from m on. After as many messages as the
// dispatcher's throughput it goes on in a goroutine, so that no sender serves a hot customer
// for ever.
func (c *customer) serve(m *Message) {
	for served := 0; ; {
		for m != nil {
			next := m.next // m is its sender's again once it is answered
			m.next = nil
			c.invoker.InvokeUserMessage(m)
			c.waiting.Add(-1)
			if c.heldBy != nil {
				c.letHold(next)
				return
			}
			m = next
			if served++; served >= throughput && m != nil {
				c.handOver(m)
				return
			}
		}
		if c.sleepy && c.retire() {
			return
		}
		if m = c.more(); m == nil {
			return
		}
		if served >= throughput {
			c.handOver(m)
			return
		}
	}
}

// letHold leaves the mailbox as it is, running, to the one who asked to hold the customer:
// release goes on where serve stops here.
func (c *customer) letHold(rest *Message) {
	m := c.heldBy
	c.heldBy = nil
	m.holder, m.rest = c, rest
	m.decided <- struct{}{}
}

// release ends a hold: what came meanwhile is served.
func (c *customer) release(m *Message) {
	rest := m.rest
	m.rest = nil
	c.serve(rest)
}

// handOver is apart from serve so that its closure does not move every message to the heap.
func (c *customer) handOver(m *Message) {
	c.shard.directory.dispatcher.Schedule(func() { c.serve(m) })
}
