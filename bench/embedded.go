package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// embedded is the engine in this process, asked with typed events.
type embedded struct {
	engine *engine.Engine
	close  func() error
}

// NewEmbedded opens an engine; close is called once it is closed.
func NewEmbedded(o engine.Options, close func() error) (Target, error) {
	e, err := engine.Open(o)
	if err != nil {
		return nil, errors.Join(err, close())
	}
	return &embedded{e, close}, nil
}

func (t *embedded) Name() string { return "engine" }
func (t *embedded) Close() error { return errors.Join(t.engine.Close(), t.close()) }
func (t *embedded) Dial(ctx context.Context) (Conn, error) {
	return &embeddedConn{ctx: ctx, engine: t.engine}, nil
}

// embeddedConn is one caller. Packing the details of an event out of its JSON is part of what it
// does: an embedding program makes them as well. The engine keeps ids of customers as strings, and
// so gets copies: those of a Request are written over.
type embeddedConn struct {
	ctx      context.Context
	engine   *engine.Engine
	items    []engine.Composite
	outcomes []engine.Outcome
	details  engine.Details
	started  engine.ServiceID
}

func (c *embeddedConn) Started() int64 { return int64(c.started) }
func (c *embeddedConn) Close() error   { return nil }

func (c *embeddedConn) Do(r *Request) error {
	c.details = c.details[:0]
	if len(r.Items) > 0 {
		return c.composite(r.Items)
	}
	path := strings.TrimPrefix(r.Path, basePath)
	if r.Method == "GET" {
		key, _, _ := strings.Cut(strings.TrimPrefix(path, "/customers/"), "/")
		phase := engine.AnyPhase
		if strings.Contains(path, "/services/active") {
			phase = engine.Active
		}
		_, err := c.engine.CustomerServices(c.ctx, strings.Clone(key), phase)
		return err
	}
	if path == "/services/start" {
		id, err := c.engine.StartService(c.ctx, &engine.ServiceStart{
			CustomerID: strings.Clone(string(member(r.Body, "customer_id"))),
			Type:       engine.String(string(member(r.Body, "service_type"))),
			Details:    c.pack(r.Body),
		})
		c.started = id
		return err
	}
	var id engine.ServiceID
	var number int32
	switch details := c.pack(r.Body); {
	case scan(path, "/services/%d/states/start", &id):
		_, err := c.engine.StartState(c.ctx, &engine.StateStart{Service: id, Type: engine.String(string(member(r.Body, "state_type"))), Previous: reference(r.Body, "previous_state_id"), Details: details})
		return err
	case scan(path, "/services/%d/tasks/start", &id):
		_, err := c.engine.StartTask(c.ctx, &engine.TaskStart{Service: id, Type: engine.String(string(member(r.Body, "task_type"))), State: reference(r.Body, "state_id"), Details: details})
		return err
	case scan(path, "/services/%d/states/%d/end", &id, &number):
		return c.engine.EndState(c.ctx, &engine.StateEnd{Service: id, ID: number, Details: details})
	case scan(path, "/services/%d/tasks/%d/end", &id, &number):
		return c.engine.EndTask(c.ctx, &engine.TaskEnd{Service: id, ID: number, Details: details})
	case scan(path, "/services/%d/end", &id):
		return c.engine.EndService(c.ctx, &engine.ServiceEnd{Service: id, Details: details})
	}
	return fmt.Errorf("the engine is not asked for %s %s here", r.Method, r.Path)
}

func (c *embeddedConn) composite(items []Item) (err error) {
	c.items = c.items[:0]
	for i := range items {
		item := &items[i]
		c.items = append(c.items, engine.Composite{
			Service:   engine.ServiceStart{CustomerID: strings.Clone(item.Customer), Type: engine.String(item.Service), Details: c.pack(item.ServiceJSON)},
			State:     engine.StateStart{Type: engine.String(item.State), Details: c.pack(item.StateJSON)},
			Task:      engine.TaskStart{Type: engine.String(item.Task), Details: c.pack(item.TaskJSON)},
			HasTask:   true,
			Associate: true,
		})
	}
	c.outcomes, err = c.engine.CompositeStart(c.ctx, c.items, c.outcomes[:0])
	for i := range c.outcomes {
		if err == nil {
			err = items[i].Check(c.outcomes[i].ServiceCreated)
		}
	}
	return err
}

// scan tells whether path has the form, and reads its numbers. fmt.Sscanf takes white space and
// ends early, so the form is written again and compared.
func scan(path, form string, numbers ...any) bool {
	if n, _ := fmt.Sscanf(path, form, numbers...); n < len(numbers) {
		return false
	}
	values := make([]any, len(numbers))
	for i, n := range numbers {
		switch n := n.(type) {
		case *engine.ServiceID:
			values[i] = int64(*n)
		case *int32:
			values[i] = *n
		}
	}
	return path == fmt.Sprintf(form, values...)
}

// fields are the common ones by name.
var fields = map[string]conversation.Field{}

func init() {
	for f := conversation.SessionID; f <= conversation.DispositionDesc; f++ {
		fields[f.String()] = f
	}
}

// pack makes Details of an event's JSON, which is one of our own: valid and without escapes. What
// has a place of its own in the typed event is left out.
func (c *embeddedConn) pack(object []byte) engine.Details {
	from := len(c.details)
	for name, value := range members(object) {
		switch {
		case named(name):
		case fields[string(name)] != 0:
			c.details = c.details.AppendField(fields[string(name)], value)
		default:
			c.details = c.details.AppendExtension(name, value)
		}
	}
	return c.details[from:len(c.details):len(c.details)]
}

func named(name []byte) bool {
	switch string(name) {
	case "customer_id", "service_type", "state_type", "task_type", "state_id", "previous_state_id":
		return true
	}
	return false
}

// members ranges over an object's, with values as they stand there, white space included.
func members(object []byte) func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		at := 1
		for {
			open := bytes.IndexByte(object[at:], '"')
			if open < 0 {
				return
			}
			at += open + 1
			length := bytes.IndexByte(object[at:], '"')
			name := object[at : at+length]
			at += length + 1 + bytes.IndexByte(object[at+length+1:], ':') + 1
			end := at + valueLength(object[at:])
			if !yield(name, bytes.TrimSpace(object[at:end])) {
				return
			}
			at = end
		}
	}
}

// valueLength is up to the comma or brace behind the value that text begins with.
func valueLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += 1 + bytes.IndexByte(text[i+1:], '"')
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// member is one member's string, without its quotes; nil where there is none.
func member(object []byte, want string) []byte {
	for name, value := range members(object) {
		if string(name) == want {
			return bytes.Trim(value, `"`)
		}
	}
	return nil
}

func reference(object []byte, name string) engine.ID {
	n, _ := digits(member(object, name))
	return engine.ID{Number: max(n, 0), Set: n >= 0}
}
