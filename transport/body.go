package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// prefetchedBytes is how much of a body of known length fasthttp reads before it calls the
// handler. Up to there a body costs what every connection may cost; past it, the budget.
const prefetchedBytes = 8 << 10

// budget is memory that all connections share.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// body reads the body of one request. It grows as bytes arrive: what a client announces
// costs nothing.
type body struct {
	small   []byte // kept from request to request
	charged int64  // to the budget
	// announced is the length that the headers say; unannounced for a chunked body.
	announced int
	taken     bool // read to its end
}

const unannounced = -1

func (b *body) begin(ctx *fasthttp.RequestCtx) {
	b.announced = ctx.Request.Header.ContentLength()
	b.taken = false
	if !ctx.Request.IsBodyStream() {
		b.announced = 0
	}
}

// release gives back what a large body took.
func (b *body) release(budget *budget) {
	budget.give(b.charged)
	b.charged = 0
}

// end leaves the connection at the start of the next request, or closes it: what did not
// come with the headers, and was not read, may drip in for as long as the client likes.
func (b *body) end(c *call) {
	b.release(&c.server.budget)
	if b.taken || b.announced != unannounced && b.announced <= min(prefetchedBytes, c.server.options.MaxBodyBytes) {
		return
	}
	c.ctx.SetConnectionClose()
	if conn, ok := c.ctx.Conn().(*connection); ok {
		conn.linger = true
	}
}

// readBody reads the whole body, which is then valid until releaseBody or the call's end.
// What is looked at first wins: the size, the kind, and then the bytes.
func (c *call) readBody() ([]byte, error) {
	limit := c.server.options.MaxBodyBytes
	if c.body.announced > limit {
		return nil, c.tooLarge()
	}
	if c.body.announced == 0 {
		return nil, nil
	}
	if err := c.checkKind(); err != nil {
		return nil, err
	}
	stream := c.ctx.RequestBodyStream()
	if c.body.small == nil {
		c.body.small = make([]byte, 0, prefetchedBytes)
	}
	b := c.body.small
	if conn, ok := c.ctx.Conn().(*connection); ok && (c.body.announced == unannounced || c.body.announced > prefetchedBytes) {
		conn.become(receiving) // the rest may take as long as the client likes
		defer conn.state.Store(serving)
	}
	for {
		if len(b) == cap(b) {
			var err error
			if b, err = c.grow(b); err != nil {
				return nil, err
			}
		}
		n, err := stream.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return nil, c.tooLarge()
		case err == nil:
		case err == io.EOF && c.wholeBody(len(b)):
			c.body.taken = true
			return b, nil
		default:
			return nil, c.broken(err, len(b))
		}
	}
}

// wholeBody tells whether a body that ended after so many bytes ended where it should: at its
// length or, when it was chunked, at its last chunk and not with the connection.
func (c *call) wholeBody(arrived int) bool {
	if c.body.announced != unannounced {
		return arrived == c.body.announced
	}
	conn, ok := c.ctx.Conn().(*connection)
	return ok && !conn.ended
}

func (c *call) releaseBody() { c.body.release(&c.server.budget) }

// grow doubles b, within the budget and the bound; one byte past the bound shows that it is
// passed.
func (c *call) grow(b []byte) ([]byte, error) {
	size := min(2*cap(b), c.server.options.MaxBodyBytes+1)
	more := int64(size) - c.body.charged
	if !c.server.budget.take(more) {
		return nil, errBodyBudget
	}
	c.body.charged += more
	return append(make([]byte, 0, size), b...), nil
}

func (c *call) tooLarge() error {
	return refusal(errTooLarge, "a body of more than %d bytes, which is the bound", c.server.options.MaxBodyBytes)
}

// broken is the refusal of a body that did not arrive whole; nothing of it counts.
func (c *call) broken(err error, arrived int) error {
	c.ctx.SetConnectionClose()
	if c.server.draining.Load() {
		return errUnavailable
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return refusal(errTimeout, "the body did not arrive in time; %d bytes did", arrived)
	}
	return refusal(errNotHTTP, "the body is broken or ended early, after %d bytes", arrived)
}

// checkKind refuses a body that is declared as something other than JSON.
func (c *call) checkKind() error {
	h := &c.ctx.Request.Header
	if declared := h.ContentType(); !isJSON(declared) {
		return refusal(errNotJSON, "Content-Type: want application/json, got %s", cut(declared))
	}
	if coding := h.ContentEncoding(); len(coding) > 0 && !bytes.EqualFold(coding, []byte("identity")) {
		return refusal(errNotJSON, "Content-Encoding: want none, got %s", cut(coding))
	}
	return nil
}

// isJSON tells whether a media type is undeclared, application/json or application/*+json,
// whatever its parameters.
func isJSON(declared []byte) bool {
	if string(declared) == contentTypeJSON { // nearly always
		return true
	}
	kind, _, _ := bytes.Cut(declared, []byte(";"))
	kind = bytes.ToLower(bytes.TrimSpace(kind))
	if len(kind) == 0 {
		return true
	}
	sub, isApplication := bytes.CutPrefix(kind, []byte("application/"))
	return isApplication && (string(sub) == "json" || bytes.HasSuffix(sub, []byte("+json")))
}
