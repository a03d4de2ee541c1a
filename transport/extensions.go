package transport

import (
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// resource is what an extension may belong to.
type resource int

const (
	ofService resource = iota
	ofState
	ofTask
)

// String is the resource as messages name it.
func (of resource) String() string { return [...]string{"service", "state", "task"}[of] }

func replaceExtension(of resource) func(*call) error {
	return func(c *call) error { return c.setExtension(of, engine.ExtensionChange{}) }
}

func mergeExtension(of resource) func(*call) error {
	return func(c *call) error { return c.setExtension(of, engine.ExtensionChange{Merge: true}) }
}

// setExtension makes the body the extension that the path names, or merges it in.
func (c *call) setExtension(of resource, x engine.ExtensionChange) error {
	return c.parsed(func(r *request, text []byte) error {
		x.Name = string(c.parameters[len(c.parameters)-1])
		if err := of.checkName(x.Name, c.bounds); err != nil {
			return err
		}
		return r.extensionValue(text, c.bounds, &x)
	}, func(d *deadline) (err error) {
		if x.Service, err = c.serviceID(); err != nil {
			return err
		}
		switch of {
		case ofState:
			x.State, err = c.partID("state", x.Service)
		case ofTask:
			x.Task, err = c.partID("task", x.Service)
		}
		if err != nil {
			return err
		}
		return c.done(fasthttp.StatusOK, c.engine.SetExtension(d, &x))
	})
}

// checkName refuses a name that no extension of the resource can have: it could not be told
// from what stands beside it in a reply.
func (of resource) checkName(name string, bounds engine.Bounds) error {
	switch {
	case !utf8.ValidString(name):
		return refusal(engine.ErrInvalid, "path: the extension's name %q is not UTF-8", cut([]byte(name)))
	case len(name) > bounds.NameBytes:
		return refusal(engine.ErrInvalid, "path: an extension's name of %d bytes, the bound is %d: %s", len(name), bounds.NameBytes, cut([]byte(name)))
	case isReplyName([]byte(name)), of.hasField(name):
		return refusal(engine.ErrInvalid, "path: an extension cannot be called %s, which is a field of a %s", name, of)
	}
	return nil
}

// hasField tells the fields of the resource and its events.
func (of resource) hasField(name string) bool {
	for f := conversation.SessionID; f <= conversation.DispositionDesc; f++ {
		if f.String() == name {
			return true
		}
	}
	switch name {
	case "timestamp":
		return true
	case "customer_id":
		return of == ofService || of == ofTask
	case "contact_key", "service_type", "auto_complete_after", "ttl", "expiration_time":
		return of == ofService
	case "state_type", "previous_state_id":
		return of == ofState
	case "task_type":
		return of == ofTask
	}
	return false
}

// extensionValue reads a body that is one JSON value of any kind or, to be merged, an object.
func (r *request) extensionValue(text []byte, bounds engine.Bounds, x *engine.ExtensionChange) error {
	if err := r.reader.begin(text, bounds); err != nil {
		return err
	}
	raw, err := r.any([]byte(x.Name))
	if err != nil {
		return err
	}
	if x.Merge && raw[0] != '{' {
		return r.unwanted("body", "an object", raw)
	}
	r.details = append(r.details, raw...) // raw lies in what is read next
	x.JSON = r.details
	return nil
}
