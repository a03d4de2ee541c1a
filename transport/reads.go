package transport

import (
	"cmp"
	"context"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

func (c *call) readService() error {
	s, q, err := c.service()
	if err != nil {
		return err
	}
	return c.reply(fasthttp.StatusOK, q.appendService(c.out[:0], s))
}

func readCustomer(phase engine.Phase) func(*call) error {
	return func(c *call) error {
		return c.readServices(phase, (*engine.Engine).CustomerServices)
	}
}

func readAnonymous(phase engine.Phase) func(*call) error {
	return func(c *call) error {
		return c.readServices(phase, (*engine.Engine).AnonymousServices)
	}
}

// readServices answers with the services of the customer or contact key that the path names.
func (c *call) readServices(phase engine.Phase,
	read func(*engine.Engine, context.Context, string, engine.Phase) ([]*engine.Service, error)) error {
	q, err := parseQuery(c.ctx.URI().QueryString())
	if err != nil {
		return err
	}
	d := c.server.deadlines.start()
	services, err := read(c.engine, d, string(c.parameters[0]), phase)
	c.server.deadlines.stop(d)
	if err != nil {
		return err
	}
	return c.reply(fasthttp.StatusOK, q.appendServices(c.out[:0], services))
}

// service reads the service that the path names, and the query.
func (c *call) service() (*engine.Service, *query, error) {
	q, err := parseQuery(c.ctx.URI().QueryString())
	if err != nil {
		return nil, nil, err
	}
	id, err := c.serviceID()
	if err != nil {
		return nil, nil, err
	}
	d := c.server.deadlines.start()
	s, err := c.engine.Service(d, id)
	c.server.deadlines.stop(d)
	return s, q, err
}

func (c *call) readState() error {
	s, q, err := c.service()
	if err != nil {
		return err
	}
	id, err := c.partID("state", s.ID)
	if err != nil {
		return err
	}
	state := s.State(int64(id))
	if state == nil {
		return conversation.NoState(s.ID, id)
	}
	return c.reply(fasthttp.StatusOK, q.appendState(c.out[:0], s, state))
}

func (c *call) readTask() error {
	s, q, err := c.service()
	if err != nil {
		return err
	}
	id, err := c.partID("task", s.ID)
	if err != nil {
		return err
	}
	task := s.Task(int64(id))
	if task == nil {
		return conversation.NoTask(s.ID, id)
	}
	return c.reply(fasthttp.StatusOK, q.appendTask(c.out[:0], s, task))
}

func readStates(phase engine.Phase) func(*call) error {
	return func(c *call) error {
		s, q, err := c.service()
		if err != nil {
			return err
		}
		return c.reply(fasthttp.StatusOK, q.appendStates(c.out[:0], s, phase))
	}
}

func readTasks(phase engine.Phase) func(*call) error {
	return func(c *call) error {
		s, q, err := c.service()
		if err != nil {
			return err
		}
		return c.reply(fasthttp.StatusOK, q.appendTasks(c.out[:0], s, phase))
	}
}

// The lists, each without what the query does not let pass.

func (q *query) appendServices(b []byte, services []*engine.Service) []byte {
	services = slices.DeleteFunc(services, func(s *engine.Service) bool {
		return !matches(q.serviceTypes, s.Type) || !q.started(s.Started)
	})
	return appendArray(b, services, q.appendService)
}

func (q *query) appendStates(b []byte, s *engine.Service, phase engine.Phase) []byte {
	states := slices.DeleteFunc(q.states(s, phase), func(t *engine.State) bool { return !q.started(t.Started) })
	return appendArray(b, states, func(b []byte, t *engine.State) []byte { return q.appendState(b, s, t) })
}

func (q *query) appendTasks(b []byte, s *engine.Service, phase engine.Phase) []byte {
	tasks := slices.DeleteFunc(q.tasks(s, phase), func(t *engine.Task) bool {
		return !q.started(t.Started) || q.stateID != nil && int64(t.State) != *q.stateID
	})
	return appendArray(b, tasks, func(b []byte, t *engine.Task) []byte { return q.appendTask(b, s, t) })
}

// states are those of a service that the query lets pass, oldest first.
func (q *query) states(s *engine.Service, phase engine.Phase) []*engine.State {
	var states []*engine.State
	for i := range s.States {
		if t := &s.States[i]; phase.Holds(t.Completed != nil) && matches(q.stateTypes, t.Type) {
			states = append(states, t)
		}
	}
	slices.SortFunc(states, func(a, b *engine.State) int {
		return cmp.Or(cmp.Compare(a.Started, b.Started), cmp.Compare(a.ID, b.ID))
	})
	return states
}

// tasks are those of a service that the query lets pass, oldest first.
func (q *query) tasks(s *engine.Service, phase engine.Phase) []*engine.Task {
	var tasks []*engine.Task
	for i := range s.Tasks {
		if t := &s.Tasks[i]; phase.Holds(t.Completed != nil) && matches(q.taskTypes, t.Type) {
			tasks = append(tasks, t)
		}
	}
	slices.SortFunc(tasks, func(a, b *engine.Task) int {
		return cmp.Or(cmp.Compare(a.Started, b.Started), cmp.Compare(a.ID, b.ID))
	})
	return tasks
}

// matches tells whether a type is among those asked for. Where none are, every one is.
func matches(types set, t engine.Value) bool {
	if len(types) == 0 {
		return true
	}
	_, found := types[t.Text()]
	return found && t.Present()
}

// tasksOfState are those that the query lets pass of one state. All of a service's are sorted
// out at once: a read of its states asks for each.
func (q *query) tasksOfState(s *engine.Service, state int32, phase engine.Phase) []*engine.Task {
	byState := &q.tasksOf[phase-engine.Active]
	if *byState == nil {
		*byState = make(map[int32][]*engine.Task)
		for _, t := range q.tasks(s, phase) {
			(*byState)[t.State] = append((*byState)[t.State], t)
		}
	}
	return (*byState)[state]
}

func (q *query) started(at engine.Instant) bool {
	return (q.from == 0 || at >= q.from) && (q.to == 0 || at < q.to)
}
