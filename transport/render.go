package transport

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// A resource as read is an object whose members stand in a fixed order: its ids and own
// fields, est_duration, started, then once it has ended completed, disposition,
// disposition_desc and duration, then the nested arrays and the extensions asked for.

func (q *query) appendService(b []byte, s *engine.Service) []byte {
	b = appendInteger(b, '{', "service_id", int64(s.ID))
	b = appendValue(b, "service_type", s.Type)
	b = appendText(b, "customer_id", s.CustomerID)
	b = appendText(b, "contact_key", s.ContactKey)
	b = appendLife(b, s.Started, s.Details, s.Completed)
	if q.activeStates {
		b = q.appendNestedStates(b, "active_states", s, engine.Active)
	}
	if q.completedStates {
		b = q.appendNestedStates(b, "completed_states", s, engine.Completed)
	}
	b = q.appendNestedTasks(b, s, nil)
	return append(appendExtensions(b, s.Details, &q.own), '}')
}

func (q *query) appendState(b []byte, s *engine.Service, t *engine.State) []byte {
	b = appendInteger(b, '{', "state_id", int64(t.ID))
	b = appendInteger(b, ',', "service_id", int64(s.ID))
	b = appendStateFields(b, t)
	b = q.appendNestedTasks(b, s, t)
	return append(appendExtensions(b, t.Details, &q.own), '}')
}

func (q *query) appendTask(b []byte, s *engine.Service, t *engine.Task) []byte {
	b = appendInteger(b, '{', "task_id", int64(t.ID))
	b = appendInteger(b, ',', "service_id", int64(s.ID))
	b = appendText(b, "customer_id", s.CustomerID)
	b = appendTaskFields(b, t)
	return append(appendExtensions(b, t.Details, &q.own), '}')
}

func appendStateFields(b []byte, t *engine.State) []byte {
	b = appendValue(b, "state_type", t.Type)
	if t.Previous != 0 {
		b = appendInteger(b, ',', "previous_state_id", int64(t.Previous))
	}
	return appendLife(b, t.Started, t.Details, t.Completed)
}

func appendTaskFields(b []byte, t *engine.Task) []byte {
	b = appendValue(b, "task_type", t.Type)
	if t.State != 0 {
		b = appendInteger(b, ',', "state_id", int64(t.State))
	}
	return appendLife(b, t.Started, t.Details, t.Completed)
}

// What is nested does not repeat whose it is.

func (q *query) appendNestedStates(b []byte, name string, s *engine.Service, phase engine.Phase) []byte {
	return appendArray(appendName(b, name), q.states(s, phase), func(b []byte, t *engine.State) []byte {
		b = appendInteger(b, '{', "state_id", int64(t.ID))
		b = appendStateFields(b, t)
		return append(appendExtensions(b, t.Details, &q.ofStates), '}')
	})
}

// appendNestedTasks nests the tasks of a state or, where of is nil, of the whole service.
func (q *query) appendNestedTasks(b []byte, s *engine.Service, of *engine.State) []byte {
	if q.activeTasks {
		b = q.appendTasksIn(b, "active_tasks", s, of, engine.Active)
	}
	if q.completedTasks {
		b = q.appendTasksIn(b, "completed_tasks", s, of, engine.Completed)
	}
	return b
}

func (q *query) appendTasksIn(b []byte, name string, s *engine.Service, of *engine.State, phase engine.Phase) []byte {
	var tasks []*engine.Task
	if of == nil {
		tasks = q.tasks(s, phase)
	} else {
		tasks = q.tasksOfState(s, of.ID, phase)
	}
	return appendArray(appendName(b, name), tasks, func(b []byte, t *engine.Task) []byte {
		b = appendInteger(b, '{', "task_id", int64(t.ID))
		b = appendTaskFields(b, t)
		return append(appendExtensions(b, t.Details, &q.ofTasks), '}')
	})
}

// appendLife writes when a resource started and ended, and what its two events said. What is
// lifted out of started and completed is not repeated inside.
func appendLife(b []byte, started engine.Instant, d engine.Details, end *conversation.End) []byte {
	b = appendRaw(b, conversation.EstDuration, d)
	b = appendMoment(b, "started", started, d)
	if end == nil {
		return b
	}
	b = appendMoment(b, "completed", end.At, end.Details)
	b = appendRaw(b, conversation.Disposition, end.Details)
	b = appendRaw(b, conversation.DispositionDesc, end.Details)
	return appendInteger(b, ',', "duration", max(0, int64(end.At-started)))
}

// appendMoment writes started or completed: its timestamp and common fields.
func appendMoment(b []byte, name string, at engine.Instant, d engine.Details) []byte {
	b = appendName(b, name)
	b = append(b, `{"timestamp":"`...)
	b = append(appendTimestamp(b, at), '"')
	for m := range d.Members() {
		switch {
		case m.IsExtension():
		case m.Field == conversation.EstDuration, m.Field == conversation.Disposition, m.Field == conversation.DispositionDesc:
		default:
			b = append(appendName(b, m.Field.String()), m.JSON...)
		}
	}
	return append(b, '}')
}

func appendRaw(b []byte, f conversation.Field, d engine.Details) []byte {
	if json := d.Field(f); json != nil {
		b = append(appendName(b, f.String()), json...)
	}
	return b
}

func appendExtensions(b []byte, d engine.Details, asked *names) []byte {
	if !asked.all && len(asked.some) == 0 {
		return b
	}
	for m := range d.Members() {
		if m.IsExtension() && asked.has(m.Name) {
			b = append(b, ',')
			b, _ = jsontext.AppendQuote(b, m.Name) // checked to be UTF-8 when it was read
			b = append(append(b, ':'), m.JSON...)
		}
	}
	return b
}

func appendArray[T any](b []byte, elements []T, element func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, e := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = element(b, e)
	}
	return append(b, ']')
}

// appendName starts a member that is not the first.
func appendName(b []byte, name string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	return append(b, `":`...)
}

// appendInteger writes a member after before: a brace for the first one, else a comma.
func appendInteger(b []byte, before byte, name string, n int64) []byte {
	b = append(b, before, '"')
	b = append(b, name...)
	b = append(b, `":`...)
	return strconv.AppendInt(b, n, 10)
}

// appendText writes a string, where there is one.
func appendText(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	b, _ = jsontext.AppendQuote(appendName(b, name), text) // checked to be UTF-8 when it was read
	return b
}

// appendValue writes a value as it was sent, where there is one.
func appendValue(b []byte, name string, v engine.Value) []byte {
	switch {
	case !v.Present():
		return b
	case v.IsInteger():
		return append(appendName(b, name), v.Text()...)
	default:
		b, _ = jsontext.AppendQuote(appendName(b, name), v.Text()) // checked to be UTF-8 when it was read
		return b
	}
}
