package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The model is the contract once more, slow and obvious: everything in one slice, every
// question a walk over it. It is written from the contract alone and shares nothing with the
// engine but the types of its requests. model_start_test.go and model_change_test.go have the
// operations; each answers what the engine must answer, and an error's kind.

// never is the instant of what does not happen.
const never Instant = math.MaxInt64

// model holds what is stored. Ids cannot be foreseen: the operations that start something take
// them from the engine's answer, and check them.
type model struct {
	now               Instant
	autoCompleteAfter int64 // milliseconds, the server's default; 0 for none
	expireAfter       int64 // likewise
	bounds            Bounds

	services []*modelService    // those that are there, in the order in which they came
	expired  []*modelService    // those that are not any more, for when the clock jumps back
	given    map[ServiceID]bool // every id there ever was
	ids      []ServiceID        // the same, in order
	wrongIDs []string           // what was wrong with ids
	counts   map[string]int     // how often what happened
}

func newModel(b Bounds) *model {
	return &model{bounds: b, given: map[ServiceID]bool{}, counts: map[string]int{}}
}

type modelService struct {
	tenant            string
	id                ServiceID
	typ               Value
	customer, contact string
	autoCompleteAfter int64 // seconds
	expires           Instant
	updated           Instant
	started           Instant
	completed         *modelEnd
	said              said
	states, tasks     []*modelPart
	last              int32 // the last id of a state or task

	// before is what it was before something due happened to it at that instant, as long as
	// nothing else has changed it since. See history.jumpBack.
	before *modelService
	due    Instant
}

type modelPart struct {
	id        int32
	ref       int32 // of a state the previous one, of a task its state; 0 for none
	typ       Value
	started   Instant
	completed *modelEnd
	said      said
}

type modelEnd struct {
	at   Instant
	said said
}

// said is an event's common fields and extensions, by name.
type said struct{ fields, extensions map[string]string }

func unpack(d Details) said {
	s := said{map[string]string{}, map[string]string{}}
	for m := range d.Members() {
		to, name := s.fields, m.Field.String()
		if m.IsExtension() {
			to, name = s.extensions, string(m.Name)
		}
		if _, twice := to[name]; twice {
			name += " (twice)"
		}
		to[name] = string(m.JSON)
	}
	return s
}

func (s said) clone() said { return said{maps.Clone(s.fields), maps.Clone(s.extensions)} }

// with is s where other's members replace those of the same name.
func (s said) with(other said) said {
	s = s.clone()
	maps.Copy(s.fields, other.fields)
	maps.Copy(s.extensions, other.extensions)
	return s
}

// fieldsOnly is what an end shows of its event.
func (s said) fieldsOnly() said { return said{fields: s.fields} }

func (s *modelService) clone() *modelService {
	c := *s
	c.states, c.tasks = cloneParts(s.states), cloneParts(s.tasks)
	return &c // what was said and ends are never changed in place
}

func cloneParts(parts []*modelPart) (c []*modelPart) {
	for _, p := range parts {
		q := *p
		c = append(c, &q)
	}
	return c
}

// same is the contract's equality of types: by text, and absent equals only absent.
func same(a, b Value) bool { return a.Present() == b.Present() && a.Text() == b.Text() }

// after is so many milliseconds later; what is past all time is never.
func after(at Instant, milliseconds int64) Instant {
	if milliseconds > int64(never-at) {
		return never
	}
	return at + Instant(milliseconds)
}

func afterSeconds(at Instant, seconds int64) Instant {
	if seconds > math.MaxInt64/1000 {
		return never
	}
	return after(at, seconds*1000)
}

// completesAt is when the service completes by itself.
func (m *model) completesAt(s *modelService) Instant {
	switch {
	case s.completed != nil:
		return never
	case s.autoCompleteAfter > 0:
		return afterSeconds(s.updated, s.autoCompleteAfter)
	case m.autoCompleteAfter > 0:
		return after(s.updated, m.autoCompleteAfter)
	}
	return never
}

// expiresAt is when the service is gone.
func (m *model) expiresAt(s *modelService) Instant {
	switch {
	case s.expires != 0:
		return s.expires
	case m.expireAfter > 0:
		return after(s.updated, m.expireAfter)
	}
	return never
}

// letDue lets everything happen that is due by now. It comes before each operation.
func (m *model) letDue() {
	for _, s := range slices.Clone(m.services) {
		if at := m.completesAt(s); at <= m.now && at < m.expiresAt(s) {
			s.before, s.due = s.clone(), at
			s.end(&modelEnd{at: at}, said{})
			s.updated = max(s.updated, at)
			m.count("auto-completed")
		}
		if at := m.expiresAt(s); at <= m.now {
			s.before, s.due = s.clone(), at
			m.remove(s)
			m.expired = append(m.expired, s)
			m.count("expired")
		}
	}
}

// update notes that the service changes now.
func (m *model) update(s *modelService) {
	s.updated = max(s.updated, m.now)
	s.before = nil // what was due has happened for good
}

// end completes the service and what is active in it.
func (s *modelService) end(end *modelEnd, event said) {
	s.completed = end
	s.said = s.said.with(said{extensions: event.extensions})
	for _, p := range slices.Concat(s.states, s.tasks) {
		if p.completed == nil {
			p.completed = &modelEnd{at: end.at}
		}
	}
}

func (m *model) remove(s *modelService) {
	m.services = slices.DeleteFunc(m.services, func(t *modelService) bool { return t == s })
}

// service finds by id; nil when there is none for the tenant.
func (m *model) service(tenant string, id ServiceID) *modelService {
	for _, s := range m.services {
		if s.id == id && s.tenant == tenant {
			return s
		}
	}
	return nil
}

func find(parts []*modelPart, id int64) *modelPart {
	for _, p := range parts {
		if int64(p.id) == id {
			return p
		}
	}
	return nil
}

// takeID gives a new service the id that the engine gave it.
func (m *model) takeID(id ServiceID) ServiceID {
	if id <= 0 || id >= 1<<53 || m.given[id] {
		m.wrongIDs = append(m.wrongIDs, fmt.Sprintf("service id %d (given before: %v)", id, m.given[id]))
	}
	m.given[id] = true
	m.ids = append(m.ids, id)
	return id
}

// takePart gives a new state or task its id.
func (m *model) takePart(s *modelService, id int32) int32 {
	if id <= s.last {
		m.wrongIDs = append(m.wrongIDs, fmt.Sprintf("id %d of a state or task of service %d, after %d", id, s.id, s.last))
	}
	s.last = max(s.last, id)
	return id
}

func (m *model) count(what string) { m.counts[what]++ }

// older is the order of lists: by the start, then by id.
func older(a, b *modelService) int {
	if a.started != b.started {
		return int(max(-1, min(1, a.started-b.started)))
	}
	return int(max(-1, min(1, a.id-b.id)))
}

// seen is an engine's service in the model's terms, so that one function shows both.
func seen(s *Service) *modelService {
	v := &modelService{
		id: s.ID, typ: s.Type, customer: s.CustomerID, contact: s.ContactKey,
		started: s.Started, completed: seenEnd(s.Completed), said: unpack(s.Details),
	}
	for _, t := range s.States {
		v.states = append(v.states, &modelPart{id: t.ID, ref: t.Previous, typ: t.Type, started: t.Started, completed: seenEnd(t.Completed), said: unpack(t.Details)})
	}
	for _, t := range s.Tasks {
		v.tasks = append(v.tasks, &modelPart{id: t.ID, ref: t.State, typ: t.Type, started: t.Started, completed: seenEnd(t.Completed), said: unpack(t.Details)})
	}
	return v
}

func seenEnd(e *conversation.End) *modelEnd {
	if e == nil {
		return nil
	}
	return &modelEnd{at: e.At, said: unpack(e.Details)}
}

// String shows all that a reader may see of a service; where two are shown alike, they are.
func (s *modelService) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "service %d of %q, contact %q", s.id, s.customer, s.contact)
	show(&b, s.typ, s.started, s.completed, s.said)
	for _, p := range s.states {
		fmt.Fprintf(&b, "\n  state %d after %d", p.id, p.ref)
		show(&b, p.typ, p.started, p.completed, p.said)
	}
	for _, p := range s.tasks {
		fmt.Fprintf(&b, "\n  task %d in %d", p.id, p.ref)
		show(&b, p.typ, p.started, p.completed, p.said)
	}
	return b.String()
}

func show(b *strings.Builder, typ Value, started Instant, end *modelEnd, s said) {
	fmt.Fprintf(b, ": %s, started %s", showValue(typ), showInstant(started))
	showSaid(b, s)
	if end != nil {
		fmt.Fprintf(b, ", completed %s", showInstant(end.at))
		showSaid(b, end.said)
	}
}

func showSaid(b *strings.Builder, s said) {
	for _, name := range slices.Sorted(maps.Keys(s.fields)) {
		fmt.Fprintf(b, " %s=%s", name, canonical(s.fields[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.extensions)) {
		fmt.Fprintf(b, " %q=%s", name, canonical(s.extensions[name]))
	}
}

func showValue(v Value) string {
	switch {
	case v.IsInteger():
		return v.Text()
	case v.Present():
		return fmt.Sprintf("%q", v.Text())
	}
	return "no type"
}

func showInstant(i Instant) string {
	if i == 0 {
		return "-"
	}
	return Time(i).Format("2006-01-02T15:04:05.000")
}

// canonical is a JSON text such that equal values look equal: names in order, strings decoded
// and encoded again, numbers digit for digit.
func canonical(text string) string {
	c, known := canonicals[text]
	if !known {
		c = canonicalText(text)
		canonicals[text] = c
	}
	return c
}

// canonicals are those made so far, for most of a history's time would go into making them
// again. One goroutine at a time looks at them.
var canonicals = map[string]string{}

func canonicalText(text string) string {
	if !jsontext.Value(text).IsValid() { // a name that stands twice is found here too
		return "INVALID " + text
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return fmt.Sprintf("INVALID %s: %v", text, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("INVALID %s: %v", text, err)
	}
	return string(b)
}
