package transport

import (
	"errors"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

// What changes a service that is there: whose it is, and how long.

func (c *call) associate() error {
	a := engine.ServiceAssociation{CustomerID: string(c.parameters[0])}
	return c.event(optional, func(r *request) error { return r.association(&a) }, func(d *deadline) (err error) {
		if !utf8.ValidString(a.CustomerID) {
			return refusal(engine.ErrInvalid, "path: customer_id %q is not UTF-8", cut(c.parameters[0]))
		}
		if a.Service, err = serviceID(c.parameters[1]); err != nil {
			return err
		}
		return c.done(fasthttp.StatusNoContent, c.engine.Associate(d, &a))
	})
}

// association reads what is to be updated, as a service start says it. A customer_id there can
// only repeat the path.
func (r *reader) association(a *engine.ServiceAssociation) error {
	if err := r.serviceStart(&a.Update); err != nil {
		return err
	}
	if sent := a.Update.CustomerID; sent != "" && sent != a.CustomerID {
		return r.fail("customer_id", "want %q, which the path names, got %q", cut([]byte(a.CustomerID)), cut([]byte(sent)))
	}
	return nil
}

// deleteService tells a service that is not there in the API's own words, and with its status.
func (c *call) deleteService() error {
	id, err := c.serviceID()
	if err == nil {
		d := c.server.deadlines.start()
		err = c.engine.DeleteService(d, id)
		c.server.deadlines.stop(d)
	}
	if errors.Is(err, engine.ErrNotFound) {
		return refusal(errNotDeleted, "There are no service found for : %s", cut(c.parameters[0]))
	}
	return c.done(fasthttp.StatusOK, err)
}

func (c *call) setExpiration() error {
	var x engine.ServiceExpiration
	return c.event(mandatory, func(r *request) error { return r.expiration(&x) }, func(d *deadline) (err error) {
		if x.Service, err = c.serviceID(); err != nil {
			return err
		}
		return c.done(fasthttp.StatusOK, c.engine.SetExpiration(d, &x))
	})
}

func (r *reader) expiration(x *engine.ServiceExpiration) error {
	err := r.members(func(name []byte) (err error) {
		switch string(name) {
		case "ttl":
			x.TTL, err = r.seconds("ttl")
		case "expiration_time":
			x.ExpirationTime, err = r.timestamp("expiration_time")
		default:
			err = r.ignore(name)
		}
		return err
	})
	if err != nil {
		return err
	}
	if x.TTL == 0 && x.ExpirationTime == 0 {
		return r.fail("ttl", "mandatory where there is no expiration_time, and both are missing")
	}
	return nil
}
