package transport

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

// The defaults of Options, and the bounds that no option moves.
const (
	DefaultMaxBodyBytes    = 1 << 20          // one request of many items fits many times over
	DefaultBodyBudgetBytes = 64 << 20         // 64 bodies of the largest size arriving at once
	DefaultReadTimeout     = 30 * time.Second // a slow line delivers 1 MiB in it; a dripping client is cut off
	DefaultIdleTimeout     = 2 * time.Minute  // longer than the pause between two calls of an IVR
	DefaultDeadline        = 5 * time.Second  // what a caller on the phone may be kept waiting
	DefaultMaxConnections  = 16_384           // some 40 KB each: 640 MB when all are busy

	headerBytes  = 16 << 10         // of request line and headers; a percent-encoded key of 256 bytes takes 768
	writeTimeout = 30 * time.Second // for a client that does not fetch its answer, or the next part of a long one
)

// Options configure a Server. Every zero means its default.
type Options struct {
	// MaxBodyBytes bounds one request's body.
	MaxBodyBytes int
	// BodyBudgetBytes bounds the memory of bodies longer than what arrives with the headers,
	// all connections together.
	BodyBudgetBytes int64
	// Bounds of what a body may hold; what is zero is taken from the engine.
	Bounds engine.Bounds
	// ReadTimeout is for a whole request, from its first byte to its last.
	ReadTimeout time.Duration
	// IdleTimeout is for a connection between two requests.
	IdleTimeout time.Duration
	// Deadline is how long a request that has arrived may wait for its answer.
	Deadline time.Duration
	// MaxConnections bounds the open connections.
	MaxConnections int
	// Tenants are the names that the header ContactCenterId may have, of at most 255 bytes each;
	// one of them is then needed on every business request. Without any the header is ignored.
	Tenants []string
	// Credentials are the users that are served; nil serves everybody.
	Credentials *Credentials
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logf is told of faults whose details no client may see; nil drops them.
	Logf func(format string, args ...any)

	patience time.Duration // for tests: in place of writeTimeout
}

func (o *Options) setDefaults() {
	o.MaxBodyBytes = cmp.Or(o.MaxBodyBytes, DefaultMaxBodyBytes)
	o.BodyBudgetBytes = cmp.Or(o.BodyBudgetBytes, DefaultBodyBudgetBytes)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, DefaultReadTimeout)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, DefaultIdleTimeout)
	o.Deadline = cmp.Or(o.Deadline, DefaultDeadline)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.patience = cmp.Or(o.patience, writeTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
}

// Server answers HTTP for one engine. It may listen before there is an engine: until
// SetEngine, and again from Drain on, every business request is refused with a 503.
type Server struct {
	options     Options
	routes      []route
	http        fasthttp.Server
	backend     atomic.Pointer[backend] // nil until SetEngine
	draining    atomic.Bool
	stopping    context.Context // ends when draining begins
	stop        context.CancelFunc
	walks       atomic.Int32 // running, at most maxWalks
	connections connections
	budget      budget
	calls       sync.Pool // of *call
	requests    sync.Pool // of *request
	deadlines   deadlines
}

// backend is what a business request needs.
type backend struct {
	engine  *engine.Engine
	bounds  engine.Bounds
	tenants map[string]*backend // what one tenant's requests need; empty without tenants
}

// New makes a Server. It starts nothing; Serve does.
func New(o Options) *Server {
	o.setDefaults()
	s := &Server{options: o, routes: compile(operations)}
	s.budget.limit = o.BodyBudgetBytes
	s.calls.New = func() any { return &call{server: s} }
	s.requests.New = func() any { return newRequest() }
	s.deadlines.after, s.deadlines.now = o.Deadline, o.Now
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.connections.init(o.MaxConnections, o.patience)
	s.http = fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.refuseUnread,
		ConnState:                    followState,
		Concurrency:                  o.MaxConnections + 1, // connections refuses first, in the form of every error
		ReadBufferSize:               headerBytes,
		ReadTimeout:                  o.ReadTimeout,
		WriteTimeout:                 o.patience,
		IdleTimeout:                  o.IdleTimeout,
		MaxRequestBodySize:           o.MaxBodyBytes,
		StreamRequestBody:            true, // else a body takes its announced length before a byte of it came
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
	}
	return s
}

// SetEngine opens the door: e has recovered and takes requests.
func (s *Server) SetEngine(e *engine.Engine) {
	bounds := boundsOr(s.options.Bounds, e.Bounds())
	all := &backend{engine: e, bounds: bounds, tenants: make(map[string]*backend, len(s.options.Tenants))}
	for _, name := range s.options.Tenants {
		all.tenants[name] = &backend{engine: e.Tenant(name), bounds: bounds}
	}
	s.backend.Store(all)
}

// boundsOr fills what is zero in b from d.
func boundsOr(b, d engine.Bounds) engine.Bounds {
	return engine.Bounds{
		Items:          cmp.Or(b.Items, d.Items),
		KeyBytes:       cmp.Or(b.KeyBytes, d.KeyBytes),
		ActiveServices: cmp.Or(b.ActiveServices, d.ActiveServices),
		Parts:          cmp.Or(b.Parts, d.Parts),
		Extensions:     cmp.Or(b.Extensions, d.Extensions),
		NameBytes:      cmp.Or(b.NameBytes, d.NameBytes),
		Depth:          cmp.Or(b.Depth, d.Depth),
		Strict:         b.Strict || d.Strict,
	}
}

// Serve answers the connections that ln accepts until Shutdown, and then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	return s.connections.serve(ln, s.http.ServeConn)
}

// Drain refuses new business requests and says so to whoever asks for the node's status;
// requests in flight go on, all but purges, which stop.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.stop()
}

// Shutdown drains and waits until every request in flight is answered; until then new
// connections are taken, and told so. Then it stops listening. When ctx ends before, what is
// left is cut off and the context's error comes back.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	defer s.connections.close()
	select {
	case <-s.connections.drain():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open tells whether business requests are taken.
func (s *Server) open() bool { return s.backend.Load() != nil && !s.draining.Load() }

// handle answers one request. A panic is a fault of ours: it costs the request its answer and
// the connection, not the process.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	if conn, ok := ctx.Conn().(*connection); ok {
		conn.state.Store(serving)
	}
	c := s.calls.Get().(*call)
	c.begin(ctx)
	defer func() {
		if fault := recover(); fault != nil {
			ctx.Response.Reset()
			s.refuse(ctx, fmt.Errorf("panic: %v\n%s", fault, debug.Stack()))
			ctx.SetConnectionClose()
			c.body.release(&s.budget)
			return // what else c holds is in doubt: it is not used again
		}
		c.end()
		s.calls.Put(c)
	}()
	if err := c.run(); err != nil {
		c.refuse(err)
	}
	if s.draining.Load() {
		ctx.SetConnectionClose()
	}
}
