package transport

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// How the embedding program of embedded_test.go turns JSON into what package engine takes.

// sentMembers are a JSON object's. What is read is taken out, and what is left are extensions.
type sentMembers map[string]json.RawMessage

func (m sentMembers) take(name string) json.RawMessage {
	raw := m[name]
	delete(m, name)
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func (m sentMembers) drop(names ...string) {
	for _, name := range names {
		delete(m, name)
	}
}

func (m sentMembers) text(name string) (s string) {
	if raw := m.take(name); raw != nil && json.Unmarshal(raw, &s) != nil {
		return string(raw) // a key that is an integer
	}
	return s
}

func (m sentMembers) integer(name string) (n int64) {
	_ = json.Unmarshal(m.take(name), &n)
	return n
}

func (m sentMembers) pointer(name string) (n *int64) {
	_ = json.Unmarshal(m.take(name), &n)
	return n
}

func (m sentMembers) id(name string) conversation.ID {
	if n := m.pointer(name); n != nil {
		return conversation.ID{Number: *n, Set: true}
	}
	return conversation.ID{}
}

func (m sentMembers) value(name string) engine.Value {
	raw := m.take(name)
	var n int64
	var s string
	switch {
	case raw == nil:
		return engine.Value{}
	case json.Unmarshal(raw, &n) == nil:
		return engine.Integer(n)
	default:
		_ = json.Unmarshal(raw, &s)
		return engine.String(s)
	}
}

func (m sentMembers) instant(name string) engine.Instant {
	var at time.Time
	_ = json.Unmarshal(m.take(name), &at)
	return engine.At(at)
}

func (m sentMembers) flag(name string) bool {
	return strings.EqualFold(strings.Trim(string(m.take(name)), `"`), "true")
}

func (m sentMembers) object(name string) (o sentMembers) {
	_ = json.Unmarshal(m.take(name), &o)
	return o
}

func (m sentMembers) list(name string) (l []sentMembers) {
	_ = json.Unmarshal(m.take(name), &l)
	return l
}

func (m sentMembers) attributes() engine.Attributes {
	return engine.Attributes{
		SessionID: m.text("session_id"), InteractionID: m.text("interaction_id"),
		ApplicationType: m.value("application_type"), ApplicationID: m.pointer("application_id"),
		ResourceType: m.value("resource_type"), ResourceID: m.pointer("resource_id"), MediaType: m.value("media_type"),
		EstDuration: m.pointer("est_duration"), Disposition: m.value("disposition"), DispositionDesc: m.text("disposition_desc"),
	}
}

// details are what is left once an event's own fields are taken.
func (m sentMembers) details(end bool) engine.Details {
	a := m.attributes()
	if end {
		a.EstDuration = nil
	} else {
		a.Disposition, a.DispositionDesc = engine.Value{}, ""
	}
	a.Extensions = m
	d, err := a.Details()
	if err != nil {
		panic(err)
	}
	return d
}

func (m sentMembers) serviceStart() engine.ServiceStart {
	return engine.ServiceStart{
		CustomerID: m.text("customer_id"), ContactKey: m.text("contact_key"), Type: m.value("service_type"),
		AutoCompleteAfter: m.integer("auto_complete_after"), TTL: m.integer("ttl"),
		ExpirationTime: m.instant("expiration_time"), Timestamp: m.instant("timestamp"), Details: m.details(false),
	}
}

func (m sentMembers) stateStart() engine.StateStart {
	return engine.StateStart{Type: m.value("state_type"), Previous: m.id("previous_state_id"), Timestamp: m.instant("timestamp"), Details: m.details(false)}
}

func (m sentMembers) taskStart() engine.TaskStart {
	return engine.TaskStart{Type: m.value("task_type"), State: m.id("state_id"), Timestamp: m.instant("timestamp"), Details: m.details(false)}
}

func (m sentMembers) transition() engine.StateTransition {
	from, to := m.object("from"), m.object("to")
	t := engine.StateTransition{From: from.integer("state_id"), To: to.value("state_type"), Timestamp: m.instant("timestamp")}
	ended := m.attributes()
	started := ended
	ended.EstDuration, ended.Disposition, ended.DispositionDesc = nil, from.value("disposition"), from.text("disposition_desc")
	if lasts := to.pointer("est_duration"); lasts != nil {
		started.EstDuration = lasts
	}
	started.Extensions = m
	var err error
	if t.Ended, err = ended.Details(); err == nil {
		t.Started, err = started.Details()
	}
	if err != nil {
		panic(err)
	}
	return t
}
