package transport

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

// keptItems is how many items a request may have had and still be kept for the next one.
const keptItems = 64

// request is what is parsed out of one body. It is reused, with the memory that its events'
// Details lie in; nothing in it points into the body.
type request struct {
	reader
	items    []engine.Composite
	outcomes []engine.Outcome
}

func newRequest() *request {
	return &request{reader: reader{decoder: jsontext.NewDecoder(new(bytes.Buffer))}}
}

// keep keeps r for the next request.
func (s *Server) keep(r *request) {
	r.forget()
	s.requests.Put(r)
}

func (r *request) forget() {
	clear(r.items)
	r.items, r.outcomes = r.items[:0], r.outcomes[:0]
	if cap(r.items) > keptItems {
		r.items, r.outcomes = nil, nil
	}
	r.end()
}

// compositeStart is the main operation, and the way that must be short.
func (c *call) compositeStart() error {
	body, err := c.readBody()
	if err != nil {
		return err
	}
	r := c.server.requests.Get().(*request)
	defer c.server.keep(r) // the engine keeps no part of what it was asked
	if err := r.parseComposite(body, c.bounds); err != nil {
		return err
	}
	r.letGo() // before its place in the budget is given to others
	c.releaseBody()
	d := c.server.deadlines.start()
	r.outcomes, err = c.engine.CompositeStart(d, r.items, r.outcomes)
	c.server.deadlines.stop(d)
	if err != nil {
		return err
	}
	if last := r.outcomes[len(r.outcomes)-1]; last.Task != 0 {
		c.locate(last.Service, "tasks", last.Task)
	} else {
		c.locate(last.Service, "states", last.State)
	}
	return c.reply(fasthttp.StatusOK, appendOutcomes(c.out[:0], r.outcomes))
}

// parseComposite reads the body of a composite start.
func (r *request) parseComposite(body []byte, bounds engine.Bounds) error {
	if err := r.reader.begin(body, bounds); err != nil {
		return err
	}
	if err := r.event(); err != nil {
		return err
	}
	createNew := false
	for name := r.member(); name != nil; name = r.member() {
		var err error
		switch string(name) {
		case "services":
			err = r.parseItems()
		case "create_new_services":
			createNew, err = r.flag("create_new_services")
		default:
			err = r.ignore(name)
		}
		if err != nil {
			return err
		}
	}
	if len(r.items) == 0 {
		return r.fail("services", "mandatory, with at least one item, and there is none")
	}
	if createNew { // it may stand behind the items
		for i := range r.items {
			r.items[i].CreateNew = true
		}
	}
	return nil
}

func (r *request) parseItems() error {
	if present, err := r.array("services"); !present {
		return err
	}
	for r.more() {
		if len(r.items) == r.bounds.Items {
			return r.fail("services", "more than %d items, which is the bound", r.bounds.Items)
		}
		r.items = append(r.items, engine.Composite{})
		r.item = len(r.items) - 1
		if err := r.parseItem(&r.items[r.item]); err != nil {
			return err
		}
		r.item = none
	}
	return nil
}

func (r *request) parseItem(item *engine.Composite) error {
	present, err := r.object("")
	if err != nil {
		return err
	}
	if !present {
		return r.fail("", "want an object, got null")
	}
	hasService, hasState := false, false
	for name := r.member(); name != nil; name = r.member() {
		switch string(name) {
		case "service":
			if hasService, err = r.object("service"); hasService {
				r.part = "service"
				err = r.serviceStart(&item.Service)
				r.part = ""
			}
		case "state":
			if hasState, err = r.object("state"); hasState {
				r.part = "state"
				err = r.stateStart(&item.State)
				r.part = ""
			}
		case "task":
			if item.HasTask, err = r.object("task"); item.HasTask {
				r.part = "task"
				err = r.taskStart(&item.Task)
				r.part = ""
			}
		case "associate_state_task":
			item.Associate, err = r.flag("associate_state_task")
		case "create_new_services":
			item.CreateNew, err = r.flag("create_new_services")
		default:
			err = r.ignore(name)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case !hasService:
		return r.fail("service", "mandatory, and missing")
	case !hasState:
		return r.fail("state", "mandatory, and missing")
	}
	return nil
}

// appendOutcomes writes the answer. The API has created as a string.
func appendOutcomes(b []byte, outcomes []engine.Outcome) []byte {
	b = append(b, `{"services":[`...)
	for i, o := range outcomes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOutcome(b, `{"service":{"service_id":`, int64(o.Service), o.ServiceCreated)
		b = appendOutcome(b, `,"state":{"state_id":`, int64(o.State), o.StateCreated)
		if o.Task != 0 {
			b = appendOutcome(b, `,"task":{"task_id":`, int64(o.Task), o.TaskCreated)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

func appendOutcome(b []byte, opening string, id int64, created bool) []byte {
	b = append(b, opening...)
	b = strconv.AppendInt(b, id, 10)
	if created {
		return append(b, `,"created":"true"}`...)
	}
	return append(b, `,"created":"false"}`...)
}
