package transport

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

const (
	contentTypeJSON = "application/json"
	contentTypeText = "text/plain; charset=utf-8"

	// keptBytes is how large a buffer may have grown and still be kept for the next request.
	keptBytes = 64 << 10
)

// call is one request on its way through a handler. It is reused; what its slices point to in
// fasthttp's memory ends with the handler.
type call struct {
	server *Server
	ctx    *fasthttp.RequestCtx
	*backend
	segments   [][]byte // of the path, decoded
	parameters [][]byte // those of them that the route left open
	body       body
	out        []byte // the answer
}

func (c *call) begin(ctx *fasthttp.RequestCtx) {
	c.ctx = ctx
	c.backend = c.server.backend.Load()
	c.body.begin(ctx)
}

func (c *call) end() {
	c.body.end(c)
	if cap(c.out) > keptBytes {
		c.out = nil
	}
	clear(c.segments)
	clear(c.parameters)
	c.ctx, c.backend = nil, nil
}

func (c *call) run() error {
	o, err := c.route()
	if err != nil {
		return err
	}
	if o.always {
		return o.run(c)
	}
	if c.backend == nil || c.server.draining.Load() {
		c.ctx.SetConnectionClose()
		return errUnavailable
	}
	u, err := c.authenticate()
	if err != nil {
		return err
	}
	if err := c.chooseTenant(u); err != nil {
		return err
	}
	return o.run(c)
}

// serviceID is the service that the path names first of all.
func (c *call) serviceID() (engine.ServiceID, error) { return serviceID(c.parameters[0]) }

// serviceID reads a service's id in a path. One that cannot exist is not found.
func serviceID(text []byte) (engine.ServiceID, error) {
	const bound = 1 << 53 // ids are below it, so that JavaScript keeps them exact
	id, ok := pathID(text, bound-1)
	if !ok {
		return 0, refusal(engine.ErrNotFound, "service %s does not exist", cut(text))
	}
	return engine.ServiceID(id), nil
}

// partID is the state or task that the path names.
func (c *call) partID(kind string, service engine.ServiceID) (int32, error) {
	const bound = 1<<31 - 1
	id, ok := pathID(c.parameters[1], bound)
	if !ok {
		return 0, refusal(engine.ErrNotFound, "%s %s of service %d does not exist", kind, cut(c.parameters[1]), service)
	}
	return int32(id), nil
}

// pathID reads an id as replies write it: digits, no sign, no leading zero.
func pathID(text []byte, last int64) (int64, bool) {
	if len(text) == 0 || len(text) > 19 || text[0] < '1' {
		return 0, false
	}
	id, err := strconv.ParseInt(string(text), 10, 64)
	return id, err == nil && id <= last && text[0] <= '9'
}

// reply answers with JSON. A large answer is handed over, a small one copied, so that its
// buffer serves again.
func (c *call) reply(status int, json []byte) error {
	c.ctx.SetStatusCode(status)
	c.ctx.Response.Header.SetContentType(contentTypeJSON)
	if cap(json) > keptBytes {
		c.ctx.Response.SetBodyRaw(json)
		c.out = nil
		return nil
	}
	c.ctx.Response.SetBody(json)
	c.out = json
	return nil
}

// locate sets the Location header: a service, or one of its states or tasks.
func (c *call) locate(service engine.ServiceID, kind string, part int32) {
	b := append(c.out[:0], base+"/services/"...)
	b = strconv.AppendInt(b, int64(service), 10)
	if kind != "" {
		b = append(b, '/')
		b = append(b, kind...)
		b = append(b, '/')
		b = strconv.AppendInt(b, int64(part), 10)
	}
	c.ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, b)
	c.out = b
}

func (c *call) text(text string) error {
	c.ctx.Response.Header.SetContentType(contentTypeText)
	c.ctx.Response.SetBodyString(text)
	return nil
}

func (c *call) nodeStatus() error {
	if c.server.open() {
		return c.text("ONLINE")
	}
	return c.text("OFFLINE")
}

func (c *call) healthz() error { return c.text("alive") }

func (c *call) readyz() error {
	if c.server.open() {
		return c.text("ready")
	}
	return errUnavailable
}
