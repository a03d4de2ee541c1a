package actors

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// The ways in which a message is not served, for errors.Is.
var (
	// ErrBusy: as many messages for this customer are waiting as may; nothing was done.
	ErrBusy = errors.New("too many requests for this customer are waiting")
	// ErrFault: a fault of ours while the message was served; nothing of it was kept.
	ErrFault = errors.New("internal fault")
)

// Message is one request to a customer, and carries its own answer. It is made by Decide or Read
// and may be used again once its answer was taken by Await without an error of the context.
type Message struct {
	event conversation.Event
	read  Read
	task  task
	due   persist.Due // of sweep; of writeOut its service

	// The answer, to be looked at after Await. Nobody may be told of it, a refusal included,
	// before the records up to Watermark are on disk: else a power cut would take back what
	// somebody was told.
	Outcome   conversation.Outcome
	Err       error
	Services  []*conversation.Service  // copies, for a Read
	Completed *persist.Rows            // for a Read of completed services; to be closed
	Gone      []conversation.ServiceID // for such a Read: those of Completed that are not there any more
	Now       conversation.Instant     // of the Read
	Watermark uint64

	next    *Message  // in the mailbox
	holder  *customer // that it holds, for hold
	rest    *Message  // those behind it, for hold
	phase   atomic.Uint32
	decided chan struct{}         // holds one when the answer is there
	records []conversation.Record // reused from message to message
}

// Read asks for services: for one by its id, or for all of the owner.
type Read struct {
	Service   conversation.ServiceID // 0 for all
	Active    bool                   // all: those in memory that are active
	Completed bool                   // all: the completed ones, in memory and on disk
}

// task is what the directory itself asks of a customer.
type task uint8

const (
	noTask task = iota
	writeRows
	fallAsleep
	sweep    // let happen what is due to a service, and write that down
	writeOut // have the row of a service hold the service itself
	hold     // stop the mailbox: the asker serves it from then on
)

// A message waits until its customer takes it up, or its sender has given up before that:
// whoever comes first wins, so that the sender's memory is never read after it has gone.
const (
	waiting uint32 = iota
	takenUp
	givenUp
)

// NewMessage makes a message for use and reuse.
func NewMessage() *Message { return &Message{decided: make(chan struct{}, 1)} }

// Decide makes m a message that has e decided. e must not change until Await returns.
func (m *Message) Decide(e conversation.Event) *Message {
	m.reset()
	m.event = e
	return m
}

// Read makes m a message that reads.
func (m *Message) Read(r Read) *Message {
	m.reset()
	m.read = r
	return m
}

// target is the service that must be in memory for m; 0 for none.
func (m *Message) target() conversation.ServiceID {
	switch {
	case m.event != nil:
		return conversation.Target(m.event)
	case m.task == sweep:
		return m.due.Service
	default:
		return m.read.Service
	}
}

func (m *Message) reset() {
	m.event, m.read, m.task = nil, Read{}, noTask
	m.Outcome, m.Err, m.Services, m.Completed, m.Gone, m.Watermark = conversation.Outcome{}, nil, nil, nil, nil, 0
	m.phase.Store(waiting)
}

// Await returns when the answer is there. When the context ends first, m was not looked at
// and never will be, its error comes back, and m must not be used again.
func (m *Message) Await(ctx context.Context) error {
	select {
	case <-m.decided:
		return nil
	default:
	}
	select {
	case <-m.decided:
		return nil
	case <-ctx.Done():
		if m.phase.CompareAndSwap(waiting, givenUp) {
			return ctx.Err()
		}
		<-m.decided // being served: a turn is short
		return nil
	}
}
