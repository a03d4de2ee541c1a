package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/switchboard-cs/switchboard/actors"
	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// Engine answers composite starts and the other operations over one data folder, for one
// tenant. Its methods may be called by many goroutines; each returns once its answer is safe on
// disk.
type Engine struct {
	*core
	tenant string // empty where no tenants are configured
}

// core is what the tenants of a data folder share.
type core struct {
	opts      Options
	store     *persist.Store
	directory *actors.Directory
	messages  sync.Pool // of *actors.Message, none of which anybody waits for

	requests atomic.Int64 // in flight
	bytes    atomic.Int64 // of details in them
	closing  atomic.Bool
	idle     chan struct{} // holds one when the last request has left a closing engine
	close    sync.Once
	closeErr error
}

// Open opens the data folder and recovers what was answered before. It fails when the folder
// is held by another process, of a newer format, or not a data folder.
func Open(o Options) (*Engine, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	budget := divide(o.Memory)
	setDefault(&o.MaxRequestBytes, budget.requests)
	setDefault(&o.awake, budget.awake)
	store, err := persist.Open(persist.Options{
		Dir: o.Dir, FS: o.FS, CacheBytes: budget.cache, TableBytes: budget.table, SeenBytes: budget.seen,
		TailBytes: o.TailBytes, ReserveBytes: o.ReserveBytes, Timers: o.timers(),
		Now: o.Now, Fatal: o.Fatal, Logf: o.Logf,
	})
	if err != nil {
		return nil, err
	}
	e := &Engine{core: &core{opts: o, store: store, idle: make(chan struct{}, 1)}}
	e.messages.New = func() any { return actors.NewMessage() }
	e.directory = actors.New(store, actors.Options{
		Now:         func() conversation.Instant { return At(o.Now()) },
		Bounds:      o.Bounds.stored(),
		Timers:      o.timers(),
		AwakeBytes:  o.awake,
		MaxMessages: o.MaxRequestsPerCustomer,
		Logf:        o.Logf,
	})
	return e, nil
}

// Tenant is the same engine as one tenant sees it: nothing of another, by id either. The engine
// that Open gave is that of the tenant without a name. A name has at most 255 bytes; with a
// longer one every operation is refused. Closing one closes all.
func (e *Engine) Tenant(name string) *Engine { return &Engine{core: e.core, tenant: name} }

// Close lets the requests in flight finish, writes what is left, and closes the folder. New
// requests get ErrClosed. It may be called again, and by several at once.
func (e *Engine) Close() error {
	e.close.Do(func() {
		e.closing.Store(true)
		for e.requests.Load() > 0 {
			<-e.idle
		}
		e.closeErr = errors.Join(e.directory.Close(), e.store.Close())
	})
	return e.closeErr
}

// Bounds are those in force.
func (e *Engine) Bounds() Bounds { return e.opts.Bounds }

// Awake counts the customers in memory and what they are counted as in bytes.
func (e *Engine) Awake() (customers int, bytes int64) { return e.directory.Awake() }

// enter admits a request that carries so many bytes of details, or refuses it at once. leave
// must follow where it returns nil.
func (e *Engine) enter(bytes int64) error {
	requests, sum := e.requests.Add(1), e.bytes.Add(bytes)
	var err error
	switch {
	case e.closing.Load():
		err = ErrClosed
	case len(e.tenant) > persist.MaxTenantBytes:
		err = wrong("tenant", "%d bytes, the bound is %d: %s", len(e.tenant), persist.MaxTenantBytes, shown(e.tenant))
	case requests > int64(e.opts.MaxRequests):
		err = fmt.Errorf("%w: %d requests in flight, the bound", ErrOverloaded, e.opts.MaxRequests)
	case sum > e.opts.MaxRequestBytes && sum != bytes: // one alone always fits
		err = fmt.Errorf("%w: %d bytes of requests in flight, the bound", ErrOverloaded, e.opts.MaxRequestBytes)
	default:
		return nil
	}
	e.leave(bytes)
	return err
}

func (e *core) leave(bytes int64) {
	e.bytes.Add(-bytes)
	if e.requests.Add(-1) == 0 && e.closing.Load() {
		select {
		case e.idle <- struct{}{}:
		default:
		}
	}
}

// ask sends m to the owner's actor and waits for the answer, which is not yet safe. With an
// error of its own, nothing was done, and m must not be used again unless it was refused.
func (e *core) ask(ctx context.Context, o conversation.Owner, m *actors.Message) error {
	if err := e.directory.Send(o, m); err != nil {
		return fmt.Errorf("%w: %v: %w", ErrOverloaded, o, err)
	}
	if err := m.Await(ctx); err != nil {
		return fmt.Errorf("%w: given up before it was looked at: %w", ErrOverloaded, err)
	}
	return nil
}

// safe returns once everything up to the watermark is on disk.
func (e *core) safe(ctx context.Context, watermark uint64) error {
	if err := e.store.Wait(ctx, watermark); err != nil {
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return nil
}

// kind puts the errors of lower floors under this package's.
func kind(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrInvalid), errors.Is(err, ErrNotFound):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrInternal, err)
	}
}

// Memory is the budget in force, in bytes.
func (e *Engine) Memory() int64 { return e.opts.Memory }
