package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// HTTP is a server that is asked over HTTP/1.1, with a client of our own: net/http's costs more
// than the servers that are measured.
type HTTP struct {
	name, address string
}

// NewHTTP makes a target of host:port.
func NewHTTP(name, address string) *HTTP { return &HTTP{name: name, address: address} }

// Name is how reports call it.
func (h *HTTP) Name() string { return h.name }

// Address is its host:port.
func (h *HTTP) Address() string { return h.address }

// Close holds nothing.
func (h *HTTP) Close() error { return nil }

// Dial opens a connection, which is closed when ctx ends: so a server that does not answer holds
// no run.
func (h *HTTP) Dial(ctx context.Context) (Conn, error) {
	c := &httpConn{ctx: ctx, address: h.address, in: make([]byte, answerBytes)}
	return c, c.dial()
}

// answerBytes holds the head of an answer and most whole answers; longer ones pass through it.
const answerBytes = 16 << 10

// httpConn is one connection with keep-alive, dialled anew after it broke.
type httpConn struct {
	ctx     context.Context
	address string
	socket  *net.TCPConn // nil once broken
	exchanging
	release func() bool
	out     []byte
	in      []byte
	from    int // what has come and is not read yet is in[from:to]
	to      int
	answer  answer
	body    []byte // of the answer to a composite start
	keeps   int    // how many bytes of it may still be kept
}

func (c *httpConn) dial() error {
	dialed, err := (&net.Dialer{}).DialContext(c.ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.address, err)
	}
	socket := dialed.(*net.TCPConn)
	c.socket, c.from, c.to = socket, 0, 0
	if c.raw, err = socket.SyscallConn(); err != nil {
		return fmt.Errorf("connect to %s: %w", c.address, err)
	}
	c.turn = c.sendAndRead
	c.release = context.AfterFunc(c.ctx, func() { _ = socket.Close() })
	return nil
}

// keptOfItem bounds what is kept of an answer for each item of the request: some six times as long as
// the ids need.
const keptOfItem = 1 << 10

// Do sends r and reads the whole answer. Wanted is any 2xx, and that of a composite start what its
// items want.
func (c *httpConn) Do(r *Request) error {
	if c.socket == nil {
		if err := c.dial(); err != nil {
			return err
		}
	}
	c.body, c.keeps = c.body[:0], keptOfItem*len(r.Items)
	c.out = appendRequest(c.out[:0], r, c.address)
	err := c.exchange()
	if err == nil {
		err = c.readAnswer()
	}
	if err != nil || c.answer.closes {
		_ = c.Close()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	if c.answer.status/100 != 2 {
		return &StatusError{Status: c.answer.status}
	}
	if bytes.Equal(c.body, ceilingAnswer) {
		return nil // which says nothing about the items
	}
	return checkItems(r.Items, c.body)
}

// Started is the service that the last answer's Location named, 0 for none.
func (c *httpConn) Started() int64 { return c.answer.service }

func (c *httpConn) Close() error {
	if c.socket == nil {
		return nil
	}
	c.release()
	err := c.socket.Close()
	c.socket = nil
	return err
}

func appendRequest(b []byte, r *Request, host string) []byte {
	b = append(append(append(b, r.Method...), ' '), r.Path...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	if r.Body == nil {
		return append(b, "\r\n\r\n"...)
	}
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.Body)), 10)
	return append(append(b, "\r\n\r\n"...), r.Body...)
}

// more reads what has come behind what is there already.
func (c *httpConn) more() error {
	if c.from > 0 {
		c.to = copy(c.in, c.in[c.from:c.to])
		c.from = 0
	}
	if c.to == len(c.in) {
		return malformed("a line or head longer than %d bytes", len(c.in))
	}
	n, err := c.socket.Read(c.in[c.to:])
	c.to += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// StatusError is an answer that was not wanted.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return "status " + strconv.Itoa(e.Status) }

// errMalformed is an answer that is not HTTP/1.1.
var errMalformed = errors.New("malformed answer")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// Kind is by what an error is counted.
func Kind(err error) string {
	var status *StatusError
	var dial *net.OpError
	switch {
	case errors.As(err, &status):
		return status.Error()
	case errors.Is(err, ErrFound):
		return ErrFound.Error()
	case errors.Is(err, ErrCreated):
		return ErrCreated.Error()
	case errors.Is(err, errMalformed):
		return "malformed answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by the server"
	case errors.Is(err, net.ErrClosed):
		return "no answer by the end"
	case errors.As(err, &dial):
		return dial.Op + " failed"
	}
	return "refused"
}
