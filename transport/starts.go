package transport

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

// The starts and ends of one service, state or task: each reads its event, names what the
// path names, and asks the engine.

func (c *call) startService() error {
	var e engine.ServiceStart
	return c.event(mandatory, func(r *request) error { return r.serviceStart(&e) }, func(d *deadline) error {
		id, err := c.engine.StartService(d, &e)
		if err != nil {
			return err
		}
		c.locate(id, "", 0)
		return c.created("service_id", int64(id))
	})
}

func (c *call) endService() error {
	var e engine.ServiceEnd
	return c.event(optional, func(r *request) error { return r.serviceEnd(&e) }, func(d *deadline) (err error) {
		if e.Service, err = c.serviceID(); err != nil {
			return err
		}
		return c.done(fasthttp.StatusNoContent, c.engine.EndService(d, &e))
	})
}

func (c *call) startState() error {
	var e engine.StateStart
	return c.event(mandatory, func(r *request) error { return r.stateStart(&e) }, func(d *deadline) (err error) {
		if e.Service, err = c.serviceID(); err != nil {
			return err
		}
		id, err := c.engine.StartState(d, &e)
		if err != nil {
			return err
		}
		c.locate(e.Service, "states", id)
		return c.created("state_id", int64(id))
	})
}

func (c *call) endState() error {
	var e engine.StateEnd
	return c.event(optional, func(r *request) error { return r.stateEnd(&e) }, func(d *deadline) (err error) {
		if e.Service, err = c.serviceID(); err != nil {
			return err
		}
		if e.ID, err = c.partID("state", e.Service); err != nil {
			return err
		}
		return c.done(fasthttp.StatusNoContent, c.engine.EndState(d, &e))
	})
}

func (c *call) startTask() error {
	var e engine.TaskStart
	return c.event(mandatory, func(r *request) error { return r.taskStart(&e) }, func(d *deadline) (err error) {
		if e.Service, err = c.serviceID(); err != nil {
			return err
		}
		id, err := c.engine.StartTask(d, &e)
		if err != nil {
			return err
		}
		c.locate(e.Service, "tasks", id)
		return c.created("task_id", int64(id))
	})
}

func (c *call) endTask() error {
	var e engine.TaskEnd
	return c.event(optional, func(r *request) error { return r.taskEnd(&e) }, func(d *deadline) (err error) {
		if e.Service, err = c.serviceID(); err != nil {
			return err
		}
		if e.ID, err = c.partID("task", e.Service); err != nil {
			return err
		}
		return c.done(fasthttp.StatusNoContent, c.engine.EndTask(d, &e))
	})
}

// Whether a body must be there.
const (
	mandatory = true
	optional  = false
)

// event reads the body's one event with parse, and then does what it asks for. What is wrong
// in the body comes before what is wrong in the path: the grammar before the resource.
func (c *call) event(body bool, parse func(*request) error, do func(*deadline) error) error {
	return c.parsed(func(r *request, text []byte) error { return r.parseEvent(text, c.bounds, body, parse) }, do)
}

// parsed reads the body with parse, and then does what it asks for.
func (c *call) parsed(parse func(r *request, text []byte) error, do func(*deadline) error) error {
	text, err := c.readBody()
	if err != nil {
		return err
	}
	r := c.server.requests.Get().(*request)
	defer c.server.keep(r)
	if err := parse(r, text); err != nil {
		return err
	}
	r.letGo() // before its place in the budget is given to others
	c.releaseBody()
	d := c.server.deadlines.start()
	defer c.server.deadlines.stop(d)
	return do(d)
}

func (r *request) parseEvent(text []byte, bounds engine.Bounds, mandatory bool, parse func(*request) error) error {
	if !mandatory && empty(text) {
		return nil
	}
	if err := r.reader.begin(text, bounds); err != nil {
		return err
	}
	if err := r.event(); err != nil {
		return err
	}
	return parse(r)
}

func (c *call) created(member string, id int64) error {
	b := append(c.out[:0], `{"`...)
	b = append(b, member...)
	b = append(b, `":`...)
	b = strconv.AppendInt(b, id, 10)
	return c.reply(fasthttp.StatusCreated, append(b, '}'))
}

// done answers without a body.
func (c *call) done(status int, err error) error {
	if err == nil {
		c.ctx.SetStatusCode(status)
	}
	return err
}
