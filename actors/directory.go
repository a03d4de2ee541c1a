// Package actors runs one protoactor actor for each awake customer or anonymous contact key.
// The Directory leads from an owner to its one running actor, and wakes it when there is
// none; the actor owns what is open for that customer, so that find-or-create is serial
// without a lock. mailbox.go is how a message is served, customer.go what a turn does,
// associate.go the one change over two customers, and keeper.go how rows are written, customers
// put to sleep, what is due made to happen, and old frames emptied.
package actors

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

const (
	// shards of the directory: so many that senders on all cores seldom meet in one.
	shards = 256
	// throughput is how many messages a sender serves of others before a goroutine goes on:
	// a few microseconds of its time.
	throughput = 32
)

// Options configure a Directory. All are mandatory.
type Options struct {
	Now         func() conversation.Instant
	Bounds      conversation.Bounds
	Timers      conversation.Timers
	AwakeBytes  int64 // what awake customers may be counted as before some sleep
	MaxMessages int   // waiting for one customer; one more is refused
	Logf        func(format string, args ...any)
}

// Directory leads to every customer. Its methods may be called by many goroutines.
type Directory struct {
	opts       Options
	store      *persist.Store
	system     *actor.ActorSystem
	dispatcher actor.Dispatcher
	shards     [shards]shard
	moves      [shards]atomic.Uint64 // associations that moved a service, by its id
	bytes      atomic.Int64          // what all awake customers are counted as
	full       chan struct{}         // holds one when that is past AwakeBytes
	step       sync.Mutex            // one step of the keeper at a time; guards hand, errand, followed and emptied
	hand       int                   // the shard where the sleeper goes on
	errand     *Message              // what the keeper asks with
	followed   persist.Due           // the last due row of a full step
	emptied    uint64                // the last segment emptied; 0 for a new round
	stop       context.CancelFunc    // of the keeper
	done       sync.WaitGroup
}

// shard is a part of the directory.
type shard struct {
	directory *Directory
	mu        sync.Mutex           // guards what follows, and nothing else
	customers map[uint64]*customer // by their hash: those that share it, each leading to the next
	awake     int
	props     *actor.Props // one for all spawns: its producers hand out waking
	name      string       // of all while they are spawned
	waking    *customer
}

// New makes a Directory over the store and starts its keeper.
func New(store *persist.Store, o Options) *Directory {
	d := &Directory{
		opts:       o,
		store:      store,
		full:       make(chan struct{}, 1),
		dispatcher: actor.NewDefaultDispatcher(throughput),
		system: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.NewTextHandler(io.Discard, nil)) // what goes wrong is answered or logged here
		})),
	}
	for i := range d.shards {
		s := &d.shards[i]
		s.directory = d
		s.customers = make(map[uint64]*customer)
		s.name = fmt.Sprint("customers/", i)
		s.props = actor.PropsFromProducer(
			func() actor.Actor { return s.waking },
			actor.WithMailbox(func() actor.Mailbox { return s.waking }),
			actor.WithDispatcher(d.dispatcher),
		)
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.done.Go(func() { d.keep(ctx) })
	return d
}

// Close has everybody's rows written, so that the next start reads no journal. Nothing may be
// sent any more; the actors have no goroutines.
func (d *Directory) Close() error {
	d.stop()
	d.done.Wait()
	err := d.writeAll(context.Background())
	d.system.Shutdown()
	return err
}

// Send brings m to the owner's actor, awake or not, and often serves it before returning.
// Await tells when it is answered. With ErrBusy m was not taken.
func (d *Directory) Send(o conversation.Owner, m *Message) error {
	for {
		c := d.find(o)
		if int(c.waiting.Add(1)) > d.opts.MaxMessages && (m.task == noTask || m.task == hold) {
			c.waiting.Add(-1)
			return ErrBusy
		}
		mine, accepted := c.post(m)
		if mine {
			c.serve(m)
		}
		if accepted {
			return nil
		}
		c.waiting.Add(-1) // it has gone to sleep since: its place in the directory is free
	}
}

// find gives the one running actor of the owner, waking it where there is none. Nobody can
// reach a customer before the spawn is over, nor by a name: protoactor enters a name before
// the mailbox is ready, and drops what is sent to one after Stop. So the name leaves its registry
// at once, where it would cost more than the customer's look-up here; a customer that sleeps is
// then garbage like any other.
func (d *Directory) find(o conversation.Owner) *customer {
	hash := persist.Hash(o)
	s := &d.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.awakened(hash, o); c != nil {
		return c
	}
	c := &customer{shard: s}
	c.domain.Owner = o
	s.waking = c
	pid, err := d.system.Root.SpawnNamed(s.props, s.name)
	if err != nil {
		panic(err) // the name is free: it is this shard's, and s.mu is held
	}
	d.system.ProcessRegistry.Remove(pid)
	s.waking = nil
	c.sibling, s.customers[hash] = s.customers[hash], c
	s.awake++
	c.count(customerBytes)
	return c
}

// awakened gives the owner's customer where it is awake, else nil; s.mu is held.
func (s *shard) awakened(hash uint64, o conversation.Owner) *customer {
	c := s.customers[hash]
	for c != nil && c.domain.Owner != o {
		c = c.sibling
	}
	return c
}

// remove takes out one that sleeps; s.mu is held.
func (s *shard) remove(c *customer) {
	hash := persist.Hash(c.domain.Owner)
	first := s.customers[hash]
	switch {
	case first == c && c.sibling == nil:
		delete(s.customers, hash)
	case first == c:
		s.customers[hash] = c.sibling
	default:
		for first.sibling != c {
			first = first.sibling
		}
		first.sibling = c.sibling
	}
	s.awake--
}

// awake counts bytes of awake customers, and calls the sleeper when they are too many.
func (d *Directory) awake(bytes int64) {
	if d.bytes.Add(bytes) > d.opts.AwakeBytes && bytes > 0 {
		select {
		case d.full <- struct{}{}:
		default:
		}
	}
}

// Moves counts the associations that have moved a service, or one of those that share its count.
// Where it stays the same over looking up an owner and asking it, the service was where it was
// looked for, or nowhere.
func (d *Directory) Moves(id conversation.ServiceID) uint64 { return d.moves[uint64(id)%shards].Load() }

// Asleep tells that everything of the owner is in rows on disk: at this moment it is not awake,
// and the journal's tail says nothing of it.
func (d *Directory) Asleep(o conversation.Owner) bool {
	hash := persist.Hash(o)
	s := &d.shards[hash%shards]
	s.mu.Lock()
	c := s.awakened(hash, o)
	s.mu.Unlock()
	return c == nil && !d.store.InTail(o)
}

// Awake counts the awake customers and what they are counted as in bytes.
func (d *Directory) Awake() (customers int, bytes int64) {
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.Lock()
		customers += s.awake
		s.mu.Unlock()
	}
	return customers, d.bytes.Load()
}
