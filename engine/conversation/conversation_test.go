package conversation_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The rules, as scenarios in testdata: each event with the records decided for it and what
// the caller is told. go test -rewrite writes them anew, to be looked at as a diff.
//
// Times are plain numbers: at= sets the server's time from then on, ts= is the client's
// timestamp. A type of digits is an integer, one in quotes a string; other words are strings.
// Lines under a command are members of its event: a name and its JSON, the name of a composite
// start prefixed by service., state. or task., that of a transition's end by from. What was due
// stands first, in brackets.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &scenario{
			services: make(map[conversation.ServiceID]conversation.Owner),
			stamp: conversation.Stamp{
				Now: 1000, ServiceID: 1, Bounds: conversation.Bounds{ActiveServices: 100, Parts: 100, Extensions: 100, ServiceBytes: 1 << 20},
			},
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.command = t, d
			return s.run()
		})
	})
}

// scenario is what one file has come to: its customers, and the stamp of the next event.
type scenario struct {
	customers []*conversation.Customer
	services  map[conversation.ServiceID]conversation.Owner
	stamp     conversation.Stamp

	t       *testing.T
	command *datadriven.TestData
}

func (s *scenario) run() string {
	s.command.MaybeScanArgs(s.t, "at", (*int64)(&s.stamp.Now))
	switch s.command.Cmd {
	case "bounds":
		b := &s.stamp.Bounds
		s.command.MaybeScanArgs(s.t, "services", &b.ActiveServices)
		s.command.MaybeScanArgs(s.t, "parts", &b.Parts)
		s.command.MaybeScanArgs(s.t, "extensions", &b.Extensions)
		return fmt.Sprintf("%d active services, %d states and tasks, %d extensions\n", b.ActiveServices, b.Parts, b.Extensions)
	case "timers":
		s.stamp.Timers = conversation.Timers{
			AutoCompleteAfter: conversation.Instant(s.number("auto")), ExpireAfter: conversation.Instant(s.number("expire")),
		}
		return fmt.Sprintf("%+v\n", s.stamp.Timers)
	case "wait":
		return s.wait()
	case "show":
		return s.show()
	case "rows":
		return s.rows()
	case "composite":
		e := &conversation.Composite{
			Service: s.serviceStart(), State: s.stateStart("state"), Task: s.taskStart("task"),
			HasTask: s.command.HasArg("task"), Associate: s.command.HasArg("associate"), CreateNew: s.command.HasArg("new"),
		}
		e.Service.Details, e.State.Details, e.Task.Details = s.details("service."), s.details("state."), s.details("task.")
		return s.decide(e.Service.Owner(""), e)
	case "start-service":
		e := s.serviceStart()
		e.Details = s.details("")
		return s.decide(e.Owner(""), &e)
	}
	id := conversation.ServiceID(s.number("service"))
	if s.command.Cmd == "associate" {
		return s.associate(id)
	}
	return s.decide(s.services[id], s.eventUnder(id))
}

// eventUnder is an event that names its service.
func (s *scenario) eventUnder(id conversation.ServiceID) conversation.Event {
	ts, details := s.timestamp(), s.details("")
	switch s.command.Cmd {
	case "start-state":
		e := s.stateStart("type")
		e.Service, e.Details = id, details
		return &e
	case "start-task":
		e := s.taskStart("type")
		e.Service, e.Details = id, details
		return &e
	case "end-service":
		return &conversation.ServiceEnd{
			Service: id, TTL: s.number("ttl"), ExpirationTime: conversation.Instant(s.number("expires")), Timestamp: ts, Details: details,
		}
	case "end-state":
		return &conversation.StateEnd{Service: id, ID: int32(s.number("state")), Timestamp: ts, Details: details}
	case "end-task":
		return &conversation.TaskEnd{Service: id, ID: int32(s.number("task")), Timestamp: ts, Details: details}
	case "delete":
		return &conversation.ServiceDeletion{Service: id}
	case "expire":
		return &conversation.ServiceExpiration{Service: id, TTL: s.number("ttl"), ExpirationTime: conversation.Instant(s.number("expires"))}
	case "transition":
		return &conversation.StateTransition{
			Service: id, From: s.number("from"), To: s.value("type"), Timestamp: ts, Ended: s.details("from."), Started: s.details("to."),
		}
	case "extend":
		return &conversation.ExtensionChange{
			Service: id, State: int32(s.number("state")), Task: int32(s.number("task")),
			Name: s.text("name"), JSON: []byte(strings.TrimSpace(s.command.Input)), Merge: s.command.HasArg("merge"),
		}
	case "purge":
		return &conversation.ServicePurge{
			Service: id, Limit: conversation.Instant(s.number("limit")), Anonymous: s.command.HasArg("anonymous"),
			Phase: map[string]conversation.Phase{"active": conversation.Active, "completed": conversation.Completed}[s.text("phase")],
		}
	}
	s.t.Fatalf("%s: no such command: %s", s.command.Pos, s.command.Cmd)
	return nil
}

func (s *scenario) serviceStart() conversation.ServiceStart {
	return conversation.ServiceStart{
		CustomerID: s.text("customer"), ContactKey: s.text("contact"), Type: s.value("service"),
		AutoCompleteAfter: s.number("auto"), TTL: s.number("ttl"), ExpirationTime: conversation.Instant(s.number("expires")),
		Timestamp: s.timestamp(),
	}
}

func (s *scenario) stateStart(typeArg string) conversation.StateStart {
	return conversation.StateStart{Type: s.value(typeArg), Previous: s.id("previous_state_id"), Timestamp: s.timestamp()}
}

func (s *scenario) taskStart(typeArg string) conversation.TaskStart {
	return conversation.TaskStart{Type: s.value(typeArg), State: s.id("state_id"), Timestamp: s.timestamp()}
}

// decide does what an actor does with an event, and prints what was decided.
func (s *scenario) decide(o conversation.Owner, e conversation.Event) string {
	c := s.customer(o)
	var b strings.Builder
	s.letDue(&b, c)
	records, outcome, err := conversation.Decide(c, e, s.stamp, nil)
	if err != nil {
		return b.String() + refusal(err)
	}
	for i := range records {
		c.Apply(&records[i])
		b.WriteString(recordLine(&records[i]))
	}
	if len(records) == 0 {
		b.WriteString("no records\n")
	}
	if outcome.ServiceCreated {
		s.services[outcome.Service] = o
		s.stamp.ServiceID++
	}
	b.WriteString("-> " + outcomeLine(outcome))
	return b.String()
}

// letDue does what an actor does before every event.
func (s *scenario) letDue(b *strings.Builder, c *conversation.Customer) {
	records := conversation.DecideDue(c, s.stamp, nil)
	for i := range records {
		c.Apply(&records[i])
		fmt.Fprintf(b, "[%s]\n", strings.TrimSpace(recordLine(&records[i])))
	}
}

// wait lets pass what is due at everybody.
func (s *scenario) wait() string {
	var b strings.Builder
	for _, c := range s.customers {
		s.letDue(&b, c)
	}
	if b.Len() == 0 {
		return "nothing is due\n"
	}
	return b.String()
}

func (s *scenario) associate(id conversation.ServiceID) string {
	e := &conversation.ServiceAssociation{Service: id, CustomerID: s.text("customer"), Update: s.serviceStart()}
	e.Update.Type, e.Update.Details = s.value("type"), s.details("")
	source, target := s.customer(s.services[id]), s.customer(conversation.Owner{Key: e.CustomerID})
	var b strings.Builder
	s.letDue(&b, source)
	left, joined, err := conversation.DecideAssociation(source, target, e, s.stamp)
	if err != nil {
		return b.String() + refusal(err)
	}
	for i := range left {
		source.Apply(&left[i])
		fmt.Fprintf(&b, "%v: %s", source.Owner, recordLine(&left[i]))
	}
	for i := range joined {
		target.Apply(&joined[i])
		fmt.Fprintf(&b, "%v: %s", target.Owner, recordLine(&joined[i]))
	}
	if len(left) == 0 {
		return b.String() + "no records\n"
	}
	s.services[id] = target.Owner
	return b.String()
}

func (s *scenario) customer(o conversation.Owner) *conversation.Customer {
	for _, c := range s.customers {
		if c.Owner == o {
			return c
		}
	}
	c := &conversation.Customer{Owner: o}
	if o != (conversation.Owner{}) { // no service leads to nobody
		s.customers = append(s.customers, c)
	}
	return c
}

func (s *scenario) show() string {
	var b strings.Builder
	for _, c := range s.customers {
		fmt.Fprintf(&b, "%v\n", c.Owner)
		for _, v := range c.Services() {
			showService(&b, v)
		}
	}
	return b.String()
}

// rows prints what the row of each service would hold, and checks that it makes it again.
func (s *scenario) rows() string {
	var b strings.Builder
	for _, c := range s.customers {
		for _, v := range c.Services() {
			records := checkRebuild(s.t, c.Owner, v)
			for i := range records {
				b.WriteString(recordLine(&records[i]))
			}
			fmt.Fprintf(&b, "-> make service %d again\n", v.ID)
		}
	}
	return b.String()
}

// What a command's arguments and lines say.

func (s *scenario) text(key string) (v string) {
	s.command.MaybeScanArgs(s.t, key, &v)
	return v
}

func (s *scenario) number(key string) (v int64) {
	s.command.MaybeScanArgs(s.t, key, &v)
	return v
}

func (s *scenario) timestamp() conversation.Instant { return conversation.Instant(s.number("ts")) }

func (s *scenario) id(key string) conversation.ID {
	return conversation.ID{Number: s.number(key), Set: s.command.HasArg(key)}
}

// value: task without a value is a task without a type.
func (s *scenario) value(key string) conversation.Value {
	if arg, found := s.command.Arg(key); !found || len(arg.Vals) == 0 {
		return conversation.Value{}
	}
	text := s.text(key)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return conversation.Integer(n)
	}
	return conversation.String(strings.Trim(text, `"`))
}

func (s *scenario) details(prefix string) (d conversation.Details) {
	for line := range strings.Lines(s.command.Input) {
		rest, here := strings.CutPrefix(strings.TrimSpace(line), prefix)
		if !here {
			continue
		}
		name, json, _ := strings.Cut(rest, " ")
		if f := slices.Index(fields, name); f >= 0 {
			d = d.AppendField(conversation.SessionID+conversation.Field(f), []byte(json))
		} else {
			d = d.AppendExtension([]byte(name), []byte(json))
		}
	}
	return d
}

// fields names the common fields, in the order of their numbers.
var fields = func() (names []string) {
	for f := conversation.SessionID; f <= conversation.DispositionDesc; f++ {
		names = append(names, f.String())
	}
	return names
}()

// How things are printed.

func refusal(err error) string {
	var e *conversation.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("not a refusal: %v\n", err)
	}
	if e.Place == "" {
		return fmt.Sprintf("refused, %v: %s\n", e.Kind, e.Reason)
	}
	return fmt.Sprintf("refused, %v, at %s: %s\n", e.Kind, e.Place, e.Reason)
}

func outcomeLine(o conversation.Outcome) string {
	if o.Service == 0 {
		return "nothing\n"
	}
	line := fmt.Sprintf("service %d %s", o.Service, how(o.ServiceCreated))
	if o.State != 0 {
		line += fmt.Sprintf(", state %d %s", o.State, how(o.StateCreated))
	}
	if o.Task != 0 {
		line += fmt.Sprintf(", task %d %s", o.Task, how(o.TaskCreated))
	}
	return line + "\n"
}

func how(created bool) string {
	if created {
		return "created"
	}
	return "found"
}

// attributes prints what is not absent.
type attributes struct{ strings.Builder }

func (a *attributes) add(name string, v any, present bool) {
	if present {
		fmt.Fprintf(a, " %s=%v", name, v)
	}
}

func recordLine(r *conversation.Record) string {
	var a attributes
	fmt.Fprintf(&a, "%v %d", r.Kind, r.Service)
	if r.ID != 0 {
		fmt.Fprintf(&a, "/%d", r.ID)
	}
	a.add("type", quoted(r.Type), r.Type.Present())
	a.add("ref", r.Ref, r.Ref != 0)
	a.add("at", r.At, r.At != 0)
	a.add("shown", r.Shown, r.Shown != r.At)
	a.add("contact", strconv.Quote(r.ContactKey), r.ContactKey != "")
	a.add("auto", r.AutoCompleteAfter, r.AutoCompleteAfter != 0)
	a.add("expires", r.Expires, r.Expires != 0)
	return a.String() + detailsText(r.Details) + "\n"
}

func showService(b *strings.Builder, s *conversation.Service) {
	var a attributes
	fmt.Fprintf(&a, "  service %d %s", s.ID, quoted(s.Type))
	a.add("contact", strconv.Quote(s.ContactKey), s.ContactKey != "")
	a.add("started", s.Started, true)
	a.add("updated", s.Updated, true)
	a.add("auto", s.AutoCompleteAfter, s.AutoCompleteAfter != 0)
	a.add("expires", s.Expires, s.Expires != 0)
	fmt.Fprintf(b, "%s%s%s\n", a.String(), detailsText(s.Details), endText(s.Completed))
	for _, t := range s.States {
		showPart(b, "state", t.ID, "previous", t.Previous, t.Type, t.Started, t.Details, t.Completed)
	}
	for _, t := range s.Tasks {
		showPart(b, "task", t.ID, "state", t.State, t.Type, t.Started, t.Details, t.Completed)
	}
}

func showPart(b *strings.Builder, kind string, id int32, refName string, ref int32, v conversation.Value, started conversation.Instant, d conversation.Details, end *conversation.End) {
	var a attributes
	fmt.Fprintf(&a, "    %s %d %s", kind, id, quoted(v))
	a.add(refName, ref, ref != 0)
	a.add("started", started, true)
	fmt.Fprintf(b, "%s%s%s\n", a.String(), detailsText(d), endText(end))
}

func quoted(v conversation.Value) string {
	switch {
	case !v.Present():
		return "-"
	case v.IsInteger():
		return v.Text()
	default:
		return strconv.Quote(v.Text())
	}
}

func endText(e *conversation.End) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf(" completed=%d%s", e.At, detailsText(e.Details))
}

func detailsText(d conversation.Details) string {
	if len(d) == 0 {
		return ""
	}
	var members []string
	for m := range d.Members() {
		name := m.Field.String()
		if m.IsExtension() {
			name = string(m.Name)
		}
		members = append(members, fmt.Sprintf("%s %s", name, m.JSON))
	}
	return " {" + strings.Join(members, ", ") + "}"
}
