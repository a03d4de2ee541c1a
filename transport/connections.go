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
	maxRefusals  = 64                    // connections being refused at once; more are closed without a word
)

// connections are the listeners and open connections of a server. fasthttp's own accept loop
// would do, but it ends for good when the process is out of file descriptors, polls while it
// shuts down, and leaves goroutines and connections behind when it gives up waiting.
type connections struct {
	max       int
	patience  time.Duration // for each part of a streamed answer to be fetched
	refusals  chan struct{} // holds one for each that is being refused
	draining  atomic.Bool
	gone      chan struct{} // closed when draining and all that were open at its beginning are closed
	stop      chan struct{} // closed by close
	mu        sync.Mutex    // guards what follows
	listeners map[net.Listener]struct{}
	open      map[*connection]struct{}
	early     int // of those open, the ones that draining waits for
}

func (cs *connections) init(limit int, patience time.Duration) {
	cs.max, cs.patience = limit, patience
	cs.stop, cs.gone = make(chan struct{}), make(chan struct{})
	cs.refusals = make(chan struct{}, maxRefusals)
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
		case cs.stopped():
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
			if cs.stopped() {
				return accepted.Close()
			}
			cs.refuse(c)
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

// refuse answers a connection past the bound before anything of it was read.
func (cs *connections) refuse(c *connection) {
	select {
	case cs.refusals <- struct{}{}:
	default:
		_ = c.Conn.Close()
		return
	}
	go func() {
		defer func() { <-cs.refusals }()
		_ = c.Conn.SetWriteDeadline(time.Now().Add(refusalGrace))
		_, err := io.WriteString(c.Conn, tooManyConnections)
		c.linger = err == nil // what it has sent already would reset it, and the answer be lost
		_ = c.Close()
	}()
}

func (cs *connections) listen(ln net.Listener) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.stopped() {
		return false
	}
	cs.listeners[ln] = struct{}{}
	return true
}

func (cs *connections) stopped() bool {
	select {
	case <-cs.stop:
		return true
	default:
		return false
	}
}

func (cs *connections) add(c *connection) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.stopped() || len(cs.open) >= cs.max {
		return false
	}
	if c.late = cs.draining.Load(); !c.late {
		cs.early++
	}
	cs.open[c] = struct{}{}
	return true
}

func (cs *connections) remove(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
	if c.late {
		return
	}
	if cs.early--; cs.draining.Load() && cs.early == 0 {
		close(cs.gone)
	}
}

// drain hurries what is open. What comes back is closed when all of that is. Until close,
// connections are still taken, so that whoever asks is told that the server drains.
func (cs *connections) drain() <-chan struct{} {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.draining.Swap(true) {
		return cs.gone
	}
	for c := range cs.open {
		c.hurry()
	}
	if cs.early == 0 {
		close(cs.gone)
	}
	return cs.gone
}

// close stops listening, and ends what is left.
func (cs *connections) close() {
	cs.mu.Lock()
	if !cs.stopped() {
		close(cs.stop)
		for ln := range cs.listeners {
			_ = ln.Close()
		}
	}
	cs.mu.Unlock()
	cs.cut()
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
	all       *connections
	state     atomic.Int32
	late      bool // accepted while draining, which does not wait for it
	linger    bool // the client may still be sending what nobody reads
	ended     bool // the client will send no more: reading came to the end
	streaming bool // an answer is written while it is made
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

// Write gives a streamed answer time for each of its parts: fasthttp sets one deadline for the
// whole of it, which a long export would pass though its client fetches all the while.
func (c *connection) Write(b []byte) (int, error) {
	if c.streaming {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.all.patience)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
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
	if c.all.draining.Load() {
		c.hurry()
	}
	return err
}

// become says what the connection does from now on; shutdown may just have passed it by.
func (c *connection) become(state int32) {
	c.state.Store(state)
	if c.all.draining.Load() {
		c.hurry()
	}
}

// hurry ends a connection that waits for a request, and gives one on its way in a moment to
// arrive and be told that we are draining.
func (c *connection) hurry() {
	switch state := c.state.Load(); {
	case state == waiting && !c.late:
		_ = c.Conn.SetReadDeadline(time.Now())
	case state == waiting, state == receiving:
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
