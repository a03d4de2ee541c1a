package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	arrivalGrace = time.Second           // at shutdown, for a request that has begun to arrive
	lingerGrace  = time.Second           // for a client to notice the refusal of a body it is still sending
	lingerBytes  = 4 << 20               // and how much of that is taken off the line
	acceptPause  = 50 * time.Millisecond // when the process is out of file descriptors
	refusalGrace = time.Second           // for writing the refusal of a connection past the bound
)

// connections are the listeners and open connections of a server. fasthttp's own accept loop
// would do, but it ends for good when the process is out of file descriptors, polls while it
// shuts down, and leaves goroutines and connections behind when it gives up waiting.
type connections struct {
	max       int
	closing   atomic.Bool
	stop      chan struct{} // closed by close
	gone      chan struct{} // closed when closing and no connection is open
	mu        sync.Mutex    // guards what follows
	listeners map[net.Listener]struct{}
	open      map[*connection]struct{}
}

func (cs *connections) init(limit int) {
	cs.max = limit
	cs.stop, cs.gone = make(chan struct{}), make(chan struct{})
	cs.listeners = map[net.Listener]struct{}{}
	cs.open = map[*connection]struct{}{}
}

// serve runs one goroutine for each connection that ln accepts.
func (cs *connections) serve(ln net.Listener, answer func(net.Conn) error) error {
	if !cs.listen(ln) {
		return ln.Close()
	}
	for {
		accepted, err := ln.Accept()
		switch {
		case err == nil:
		case cs.closing.Load():
			return nil
		case outOfResources(err):
			select {
			case <-cs.stop:
			case <-time.After(acceptPause):
			}
			continue
		default:
			return fmt.Errorf("accept: %w", err)
		}
		c := &connection{Conn: accepted, all: cs}
		if !cs.add(c) {
			refuseConnection(accepted)
			continue
		}
		go func() {
			defer cs.remove(c)
			_ = answer(c) // the client went away, or broke the protocol and was told so
		}()
	}
}

// outOfResources tells what passes by itself from what ends a listener.
func outOfResources(err error) bool {
	for _, passing := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// refuseConnection answers a connection past the bound before anything of it was read.
func refuseConnection(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(refusalGrace))
	_, _ = io.WriteString(c, tooManyConnections)
	_ = c.Close()
}

func (cs *connections) listen(ln net.Listener) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closing.Load() {
		return false
	}
	cs.listeners[ln] = struct{}{}
	return true
}

func (cs *connections) add(c *connection) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closing.Load() || len(cs.open) >= cs.max {
		return false
	}
	cs.open[c] = struct{}{}
	return true
}

func (cs *connections) remove(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
	if cs.closing.Load() && len(cs.open) == 0 {
		close(cs.gone)
	}
}

// close stops listening and hurries what is open. What comes back is closed when nothing is
// open any more.
func (cs *connections) close() <-chan struct{} {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closing.Swap(true) {
		return cs.gone
	}
	close(cs.stop)
	for ln := range cs.listeners {
		_ = ln.Close()
	}
	for c := range cs.open {
		c.hurry()
	}
	if len(cs.open) == 0 {
		close(cs.gone)
	}
	return cs.gone
}

// cut ends every connection at once.
func (cs *connections) cut() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.open {
		_ = c.Conn.Close()
	}
}

// What a connection is doing.
const (
	waiting   = int32(iota) // for the first byte of a request
	receiving               // the rest of its headers, or of its body
	serving                 // its answer is being made or written
)

// connection is one client's, served by one goroutine. Only hurry and cut come from others.
type connection struct {
	net.Conn
	all    *connections
	state  atomic.Int32
	linger bool // the client may still be sending what nobody reads
	ended  bool // the client will send no more: reading came to the end
}

// Read notes the end: fasthttp shows a chunked body that broke off between two chunks as one
// that is whole.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF {
		c.ended = true
	}
	return n, err
}

// followState is told by fasthttp where a connection is.
func followState(nc net.Conn, state fasthttp.ConnState) {
	c, ok := nc.(*connection)
	if !ok {
		return
	}
	switch state {
	case fasthttp.StateActive:
		c.state.Store(receiving)
	case fasthttp.StateIdle:
		c.state.Store(waiting)
	}
}

// SetReadDeadline is what fasthttp calls at every turn of a connection's life. From shutdown
// on, a connection gets no longer than hurry gives it, whichever of the two came first.
func (c *connection) SetReadDeadline(t time.Time) error {
	err := c.Conn.SetReadDeadline(t)
	if c.all.closing.Load() {
		c.hurry()
	}
	return err
}

// become says what the connection does from now on; shutdown may just have passed it by.
func (c *connection) become(state int32) {
	c.state.Store(state)
	if c.all.closing.Load() {
		c.hurry()
	}
}

// hurry ends a connection that waits for a request, and gives one on its way in a moment to
// arrive and be told that we are draining.
func (c *connection) hurry() {
	switch c.state.Load() {
	case waiting:
		_ = c.Conn.SetReadDeadline(time.Now())
	case receiving:
		_ = c.Conn.SetReadDeadline(time.Now().Add(arrivalGrace))
	}
}

// Close first takes what the client is still sending off the line where that was announced:
// closing with bytes unread resets the connection, and the client may lose our answer.
func (c *connection) Close() error {
	if c.linger {
		if w, ok := c.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
			_ = c.Conn.SetReadDeadline(time.Now().Add(lingerGrace))
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
	}
	return c.Conn.Close()
}
