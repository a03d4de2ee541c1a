// Package conversation is the domain: what is open for a customer, and the rules by which
// an event finds it or changes it. It is pure. Decide takes a Customer, an Event and a Stamp
// and gives back Records and an Outcome, touching nothing; Apply changes the Customer by one
// Record and decides nothing. There is no clock here, no I/O and no actor.
//
// event.go lists what can be asked, record.go what can happen. decide.go has the rules of
// composite start, of starts and of ends, change.go those of all that changes later, timers.go
// what happens by itself; details.go is the bytes that no rule looks at.
package conversation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// ServiceID identifies a service in the whole engine. It is positive and below 2^53, so that
// JavaScript keeps it exact.
type ServiceID int64

// Instant counts milliseconds since 0001-01-01T00:00:00Z, so that its zero is absent.
type Instant int64

// UnixEpoch is 1970-01-01T00:00:00Z.
const UnixEpoch Instant = 62_135_596_800_000

// Owner is who services belong to: a customer, or, where a service has none, a contact key.
type Owner struct {
	Tenant    string // empty where no tenants are configured
	Key       string // customer_id, or contact_key when Anonymous
	Anonymous bool
}

// Customer is what is in memory of one owner: the active services, and completed ones that
// were loaded or whose rows are not yet written. It is touched by one goroutine at a time.
type Customer struct {
	Owner    Owner
	services []*Service // by id
	active   int
	gone     map[ServiceID]*Gone // nil where there are none
}

// Gone is what is left of a service that was deleted or went to another owner, as long as rows
// of it may be on disk.
type Gone struct {
	Left       bool // to another owner, who has written its own way from the id to there
	HandedOver bool // the deletion of the rows is on its way
	Stored
}

// Stored is what stands on disk of a service, by what was handed over. Who writes rows keeps it; the
// domain only carries it, and says what has changed.
type Stored struct {
	Changed    bool    // since; set by Apply
	Written    bool    // there is a row
	FrameBytes int32   // which stands for so many bytes
	Frame      uint64  // of this frame; zero where it holds the service itself
	DueRow     Instant // there is a due row for this instant; zero for none
}

// Service is a commitment to a customer. States and Tasks are in the order of their ids.
type Service struct {
	ID                ServiceID
	Type              Value
	CustomerID        string // empty when anonymous
	ContactKey        string
	AutoCompleteAfter int64 // seconds, 0 for none
	Expires           Instant
	Updated           Instant // the server's time of the last change
	Started           Instant
	Completed         *End // nil while active
	Details           Details
	States            []State
	Tasks             []Task
	Bytes             int // of the details of all of it
	Stored
}

// firstParts are a service with room for a state and a task, which most have: one allocation.
type firstParts struct {
	service Service
	state   [1]State
	task    [1]Task
}

// State is a phase of a service.
type State struct {
	ID        int32
	Previous  int32 // 0 for none
	Type      Value
	Started   Instant
	Completed *End
	Details   Details
}

// Task is a work item of a service.
type Task struct {
	ID        int32
	State     int32 // 0 for none
	Type      Value
	Started   Instant
	Completed *End
	Details   Details
}

// End is the completion of a service, state or task. It is shared, never changed in place.
type End struct {
	At      Instant
	Details Details // the end event's common fields
}

// Services are those in memory, by id. The slice and what it points to belong to the Customer.
func (c *Customer) Services() []*Service { return c.services }

// Service finds one of those in memory; nil when it is not there.
func (c *Customer) Service(id ServiceID) *Service {
	if i, found := c.find(id); found {
		return c.services[i]
	}
	return nil
}

func (c *Customer) find(id ServiceID) (int, bool) {
	return slices.BinarySearchFunc(c.services, id, func(s *Service, id ServiceID) int {
		return cmp.Compare(s.ID, id)
	})
}

// Add puts a service, as its row had it, among those in memory.
func (c *Customer) Add(s *Service) {
	i, found := c.find(s.ID)
	if found {
		panic(fmt.Sprintf("conversation: service %d is there already", s.ID))
	}
	c.services = slices.Insert(c.services, i, s)
	if s.Completed == nil {
		c.active++
	}
}

// Gone tells what is left of a service that was here; nil for nothing.
func (c *Customer) Gone(id ServiceID) *Gone { return c.gone[id] }

// AllGone are those of which something is left.
func (c *Customer) AllGone() map[ServiceID]*Gone { return c.gone }

// Settling counts what is in memory only until its rows are on disk: completed services, and
// what is left of those gone.
func (c *Customer) Settling() int { return len(c.services) - c.active + len(c.gone) }

// Settle forgets the completed services that have not changed since their rows were written,
// which come back, and the gone ones whose rows were deleted: only active ones stay in memory.
func (c *Customer) Settle() (forgotten []*Service) {
	c.services = slices.DeleteFunc(c.services, func(s *Service) bool {
		forget := s.Completed != nil && !s.Changed
		if forget {
			forgotten = append(forgotten, s)
		}
		return forget
	})
	maps.DeleteFunc(c.gone, func(_ ServiceID, g *Gone) bool { return g.HandedOver })
	if len(c.gone) == 0 {
		c.gone = nil
	}
	return forgotten
}

// remove takes a service out.
func (c *Customer) remove(s *Service, left bool) {
	i, _ := c.find(s.ID)
	if c.services = slices.Delete(c.services, i, i+1); len(c.services) == 0 {
		c.services = nil
	}
	if s.Completed == nil {
		c.active--
	}
	if c.gone == nil {
		c.gone = make(map[ServiceID]*Gone)
	}
	g := &Gone{Left: left, Stored: s.Stored}
	if before := c.gone[s.ID]; before != nil && !before.HandedOver { // it was here twice
		g.Stored = before.Stored
	}
	c.gone[s.ID] = g
}

// Number is the id of the last state or task started; the two share one counter, so that an
// id is unique within the service whatever it names.
func (s *Service) Number() int32 {
	var last int32
	if n := len(s.States); n > 0 {
		last = s.States[n-1].ID
	}
	if n := len(s.Tasks); n > 0 {
		last = max(last, s.Tasks[n-1].ID)
	}
	return last
}

// State finds a state by id; nil when there is none.
func (s *Service) State(id int64) *State {
	i, found := slices.BinarySearchFunc(s.States, id, func(t State, id int64) int { return cmp.Compare(int64(t.ID), id) })
	if !found {
		return nil
	}
	return &s.States[i]
}

// Task finds a task by id; nil when there is none.
func (s *Service) Task(id int64) *Task {
	i, found := slices.BinarySearchFunc(s.Tasks, id, func(t Task, id int64) int { return cmp.Compare(int64(t.ID), id) })
	if !found {
		return nil
	}
	return &s.Tasks[i]
}

// Clone is a copy that later records do not change; it shares the immutable bytes.
func (s *Service) Clone() *Service {
	t := *s
	t.States = slices.Clone(s.States)
	t.Tasks = slices.Clone(s.Tasks)
	return &t
}

// Own makes r independent of the caller's memory: its Details move into buf, which must have
// room for them, and what is left of buf comes back.
func (r *Record) Own(buf []byte) []byte {
	n := copy(buf, r.Details)
	r.Details = buf[:n:n]
	return buf[n:]
}

// Apply changes the customer by one record. It decides nothing: recovery and the live path
// use it alike. A record that does not fit is our own mistake, and panics.
func (c *Customer) Apply(r *Record) {
	if r.Kind == ServiceStarted {
		first := new(firstParts)
		first.service = Service{
			ID: r.Service, Type: r.Type, CustomerID: c.customerID(), ContactKey: r.ContactKey,
			AutoCompleteAfter: r.AutoCompleteAfter, Expires: r.Expires, Updated: r.At,
			Started: r.Shown, Details: r.Details, Bytes: len(r.Details), Stored: Stored{Changed: true},
			States: first.state[:0], Tasks: first.task[:0],
		}
		c.Add(&first.service)
		return
	}
	s := c.Service(r.Service)
	if s == nil {
		panic(fmt.Sprintf("conversation: %v of service %d, which is not there", r.Kind, r.Service))
	}
	if r.Kind == ServiceDeleted || r.Kind == ServiceLeft {
		c.remove(s, r.Kind == ServiceLeft)
		return
	}
	wasActive := s.Completed == nil
	s.apply(r)
	if wasActive && s.Completed != nil {
		c.active--
	}
}

// Fits tells whether Apply can take r. What is decided always fits; what is read back from
// disk is checked with it.
func (c *Customer) Fits(r *Record) bool {
	s := c.Service(r.Service)
	if s == nil || r.Kind == ServiceStarted {
		return s == nil && r.Kind == ServiceStarted
	}
	switch r.Kind {
	case StateStarted:
		return r.ID > 0 && (len(s.States) == 0 || r.ID > s.States[len(s.States)-1].ID)
	case TaskStarted:
		return r.ID > 0 && (len(s.Tasks) == 0 || r.ID > s.Tasks[len(s.Tasks)-1].ID)
	case StateEnded, StateExtended:
		return s.State(int64(r.ID)) != nil
	case TaskEnded, TaskExtended:
		return s.Task(int64(r.ID)) != nil
	default:
		return r.Kind.Valid()
	}
}

func (c *Customer) customerID() string {
	if c.Owner.Anonymous {
		return ""
	}
	return c.Owner.Key
}

func (s *Service) apply(r *Record) {
	s.Updated = max(s.Updated, r.At)
	s.Changed = true
	switch r.Kind {
	case StateStarted:
		s.States = append(s.States, State{ID: r.ID, Previous: r.Ref, Type: r.Type, Started: r.Shown, Details: r.Details})
		s.Bytes += len(r.Details)
	case TaskStarted:
		s.Tasks = append(s.Tasks, Task{ID: r.ID, State: r.Ref, Type: r.Type, Started: r.Shown, Details: r.Details})
		s.Bytes += len(r.Details)
	case StateEnded:
		t := s.State(int64(r.ID))
		t.Completed = s.end(&t.Details, t.Completed, r)
	case TaskEnded:
		t := s.Task(int64(r.ID))
		t.Completed = s.end(&t.Details, t.Completed, r)
	case ServiceEnded:
		s.Completed = s.end(&s.Details, s.Completed, r)
		if r.Expires != 0 {
			s.Expires = r.Expires
		}
		s.endParts(&End{At: r.Shown})
	case ServiceExpires:
		s.Expires = r.Expires
	case ServiceFound:
	case ServiceExtended:
		s.extend(&s.Details, r)
	case StateExtended:
		s.extend(&s.State(int64(r.ID)).Details, r)
	case TaskExtended:
		s.extend(&s.Task(int64(r.ID)).Details, r)
	default:
		panic(fmt.Sprintf("conversation: record of kind %d", r.Kind))
	}
}

// end gives what completes a service, state or task, whose details take up the extensions of
// the end event.
func (s *Service) end(details *Details, last *End, r *Record) *End {
	before := len(*details)
	if last != nil { // never decided, and yet Apply takes it
		before += len(last.Details)
	}
	*details = details.withExtensionsOf(r.Details)
	end := &End{At: r.Shown, Details: r.Details.withoutExtensions()}
	s.Bytes += len(*details) - before + len(end.Details)
	return end
}

func (s *Service) extend(details *Details, r *Record) {
	s.Bytes -= len(*details)
	*details = details.withExtensionsOf(r.Details)
	s.Bytes += len(*details)
}

// endParts completes what is still active, all with the same end.
func (s *Service) endParts(end *End) {
	for i := range s.States {
		if s.States[i].Completed == nil {
			s.States[i].Completed = end
		}
	}
	for i := range s.Tasks {
		if s.Tasks[i].Completed == nil {
			s.Tasks[i].Completed = end
		}
	}
}

// Records are the fewest records that make s again, in an order in which Apply takes them:
// what the row of a service holds. The service's own end stands right after its start, where
// it ends nothing else; each state and task then carries its own.
func (s *Service) Records(to []Record) []Record {
	to = append(to, Record{
		Kind: ServiceStarted, Service: s.ID, At: s.Updated, Shown: s.Started, Type: s.Type,
		ContactKey: s.ContactKey, AutoCompleteAfter: s.AutoCompleteAfter, Expires: s.Expires, Details: s.Details,
	})
	if s.Completed != nil {
		to = append(to, Record{Kind: ServiceEnded, Service: s.ID, Shown: s.Completed.At, Details: s.Completed.Details})
	}
	for i := range s.States {
		t := &s.States[i]
		to = append(to, Record{Kind: StateStarted, Service: s.ID, ID: t.ID, Ref: t.Previous, Shown: t.Started, Type: t.Type, Details: t.Details})
		if t.Completed != nil {
			to = append(to, Record{Kind: StateEnded, Service: s.ID, ID: t.ID, Shown: t.Completed.At, Details: t.Completed.Details})
		}
	}
	for i := range s.Tasks {
		t := &s.Tasks[i]
		to = append(to, Record{Kind: TaskStarted, Service: s.ID, ID: t.ID, Ref: t.State, Shown: t.Started, Type: t.Type, Details: t.Details})
		if t.Completed != nil {
			to = append(to, Record{Kind: TaskEnded, Service: s.ID, ID: t.ID, Shown: t.Completed.At, Details: t.Completed.Details})
		}
	}
	return to
}
