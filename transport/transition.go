package transport

import (
	"strconv"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

func (c *call) transition() error {
	var t engine.StateTransition
	return c.event(mandatory, func(r *request) error { return r.transition(&t) }, func(d *deadline) (err error) {
		if t.Service, err = c.serviceID(); err != nil {
			return err
		}
		id, err := c.engine.Transition(d, &t)
		if err != nil {
			return err
		}
		c.locate(t.Service, "states", id)
		return c.created("state_id", int64(id))
	})
}

// transition reads the event that ends one state and starts the next. What the two have in
// common stands once, beside from and to.
func (r *reader) transition(t *engine.StateTransition) error {
	begin := r.beginEvent()
	var from, lasts, lastsTo conversation.ID // est_duration may stand beside to and in it
	hasFrom, hasTo := false, false
	err := r.members(func(name []byte) (err error) {
		switch string(name) {
		case "from":
			hasFrom, err = r.within("from", func(name []byte) error { return r.transitionFrom(name, &from) })
		case "to":
			hasTo, err = r.within("to", func(name []byte) error { return r.transitionTo(name, &t.To, &lastsTo) })
		case "timestamp":
			t.Timestamp, err = r.timestamp("timestamp")
		case "est_duration":
			lasts, err = r.id("est_duration")
		case "state_type", "previous_state_id": // of the new state, whose are to.state_type and from.state_id
			err = r.ignore(name)
		default:
			err = r.commonMember(name)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !hasFrom:
		return r.fail("from", "mandatory, and missing")
	case !from.Set:
		return r.fail("from.state_id", "mandatory, and missing")
	case !hasTo:
		return r.fail("to", "mandatory, and missing")
	}
	t.From = from.Number
	if lastsTo.Set {
		lasts = lastsTo
	}
	r.divide(t, r.endEvent(begin), lasts)
	return nil
}

// divide gives each end what it is told: both the common fields, the old state the disposition,
// the new one the extensions and how long it will last.
func (r *reader) divide(t *engine.StateTransition, said engine.Details, lasts conversation.ID) {
	begin := r.beginEvent()
	for m := range said.Members() {
		if !m.IsExtension() {
			r.details = r.details.AppendField(m.Field, m.JSON)
		}
	}
	t.Ended = r.endEvent(begin)
	begin = r.beginEvent()
	for m := range said.Members() {
		switch {
		case m.IsExtension():
			r.details = r.details.AppendExtension(m.Name, m.JSON)
		case m.Field != conversation.Disposition && m.Field != conversation.DispositionDesc:
			r.details = r.details.AppendField(m.Field, m.JSON)
		}
	}
	if lasts.Set {
		r.details = r.details.AppendField(conversation.EstDuration, strconv.AppendInt(nil, lasts.Number, 10))
	}
	t.Started = r.endEvent(begin)
}

// within reads the object that a member is, each member of it with read. What read does not
// know is ignored.
func (r *reader) within(part string, read func(name []byte) error) (present bool, err error) {
	if present, err = r.object(part); !present {
		return false, err
	}
	r.part = part
	defer func() { r.part = "" }()
	return true, r.members(read)
}

func (r *reader) transitionFrom(name []byte, state *conversation.ID) (err error) {
	switch string(name) {
	case "state_id":
		*state, err = r.id("state_id")
	case "disposition", "disposition_desc":
		err = r.endMember(name)
	default:
		err = r.ignore(name)
	}
	return err
}

func (r *reader) transitionTo(name []byte, stateType *engine.Value, lasts *conversation.ID) (err error) {
	switch string(name) {
	case "state_type":
		*stateType, err = r.longOrString("state_type")
	case "est_duration":
		*lasts, err = r.id("est_duration")
	default:
		err = r.ignore(name)
	}
	return err
}
