package conversation

import "fmt"

// Decide says what e does to c: the records to keep, in the order in which they are to be
// applied, appended to records; and what the caller is told. It changes nothing. An error is
// an *Error; then there are no records, and nothing of the event takes effect.
func Decide(c *Customer, e Event, s Stamp, records []Record) ([]Record, Outcome, error) {
	records, outcome, err := e.decide(c, s, records)
	if err != nil {
		return nil, Outcome{}, err
	}
	return records, outcome, nil
}

// decide finds or creates the triple. The order is that of the contract: the service among
// the active ones, then in it the state, then the task in the whole service. What is found
// is left as it is.
func (e *Composite) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	var found *Service
	if !e.CreateNew {
		found = c.activeService(&e.Service)
	}
	if err := checkRefs(found, e); err != nil {
		return nil, Outcome{}, err
	}
	var out Outcome
	bytes := 0 // of this event's details that are kept
	if found == nil {
		r, err := startService(c, &e.Service, s)
		if err != nil {
			return nil, Outcome{}, Under("service", err)
		}
		records = append(records, r)
		found = &Service{ID: r.Service}
		bytes += len(r.Details)
		out.ServiceCreated = true
	}
	out.Service = found.ID

	number := found.Number()
	if state := found.activeState(e.State.Type); state != nil {
		out.State = state.ID
	} else {
		r, err := startState(found, &number, &e.State, s)
		if err != nil {
			return nil, Outcome{}, Under("state", err)
		}
		records = append(records, r)
		bytes += len(r.Details)
		out.State, out.StateCreated = r.ID, true
	}
	if !e.HasTask {
		return found.noteFound(records, s), out, found.checkBytes(bytes, s)
	}
	if task := found.activeTask(e.Task.Type); task != nil {
		out.Task = task.ID
		return found.noteFound(records, s), out, found.checkBytes(bytes, s)
	}
	r, err := startTask(found, &number, &e.Task, s)
	if err != nil {
		return nil, Outcome{}, Under("task", err)
	}
	if e.Associate {
		r.Ref = out.State
	}
	records = append(records, r)
	out.Task, out.TaskCreated = r.ID, true
	return records, out, found.checkBytes(bytes+len(r.Details), s)
}

// checkRefs refuses a state_id or previous_state_id that is no state of the service found,
// whether or not what carries it will be created: a wrong request is wrong every time it is
// sent. A task that will be associated does not use its own state_id.
func checkRefs(found *Service, e *Composite) error {
	if found == nil {
		found = &Service{}
	}
	if err := found.checkState(e.State.Previous, "previous_state_id"); err != nil {
		return Under("state", err)
	}
	if e.HasTask && !e.Associate {
		if err := found.checkState(e.Task.State, "state_id"); err != nil {
			return Under("task", err)
		}
	}
	return nil
}

func (s *Service) checkState(id ID, place string) error {
	if id.Set && s.State(id.Number) == nil {
		return invalid(place, "%d is not a state of the service", id.Number)
	}
	return nil
}

// activeService finds the active service that a composite start means: of equal type and,
// where the request gives one, equal contact key; of several, the one started last.
func (c *Customer) activeService(e *ServiceStart) *Service {
	var last *Service
	for _, s := range c.services {
		if s.Completed != nil || !s.Type.Equal(e.Type) || e.ContactKey != "" && s.ContactKey != e.ContactKey {
			continue
		}
		if last == nil || s.Started >= last.Started { // services stand by id, which breaks ties
			last = s
		}
	}
	return last
}

func (s *Service) activeState(t Value) *State {
	var last *State
	for i := range s.States {
		st := &s.States[i]
		if st.Completed == nil && st.Type.Equal(t) && (last == nil || st.Started >= last.Started) {
			last = st
		}
	}
	return last
}

func (s *Service) activeTask(t Value) *Task {
	var last *Task
	for i := range s.Tasks {
		task := &s.Tasks[i]
		if task.Completed == nil && task.Type.Equal(t) && (last == nil || task.Started >= last.Started) {
			last = task
		}
	}
	return last
}

func (e *ServiceStart) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	r, err := startService(c, e, s)
	if err != nil {
		return nil, Outcome{}, err
	}
	return append(records, r), Outcome{Service: r.Service, ServiceCreated: true}, (&Service{ID: r.Service}).checkBytes(len(r.Details), s)
}

func (e *StateStart) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	if err := svc.checkState(e.Previous, "previous_state_id"); err != nil {
		return nil, Outcome{}, err
	}
	number := svc.Number()
	r, err := startState(svc, &number, e, s)
	if err != nil {
		return nil, Outcome{}, err
	}
	return append(records, r), Outcome{Service: svc.ID, State: r.ID, StateCreated: true}, svc.checkBytes(len(r.Details), s)
}

func (e *TaskStart) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	if err := svc.checkState(e.State, "state_id"); err != nil {
		return nil, Outcome{}, err
	}
	number := svc.Number()
	r, err := startTask(svc, &number, e, s)
	if err != nil {
		return nil, Outcome{}, err
	}
	return append(records, r), Outcome{Service: svc.ID, Task: r.ID, TaskCreated: true}, svc.checkBytes(len(r.Details), s)
}

// Ending what is already ended changes nothing, so that a client may repeat it safely.

func (e *ServiceEnd) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	out := Outcome{Service: svc.ID}
	if svc.Completed != nil {
		return records, out, nil
	}
	if err := svc.checkEnd(svc.Details, e.Details, s); err != nil {
		return nil, Outcome{}, err
	}
	return append(records, Record{
		Kind: ServiceEnded, Service: svc.ID, At: s.Now, Shown: shown(e.Timestamp, s),
		Expires: expires(e.TTL, e.ExpirationTime, s), Details: e.Details,
	}), out, nil
}

func (e *StateEnd) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	state := svc.State(int64(e.ID))
	if state == nil {
		return nil, Outcome{}, NoState(e.Service, e.ID)
	}
	out := Outcome{Service: svc.ID, State: state.ID}
	if state.Completed != nil {
		return records, out, nil
	}
	if err := svc.checkEnd(state.Details, e.Details, s); err != nil {
		return nil, Outcome{}, err
	}
	return append(records, Record{
		Kind: StateEnded, Service: svc.ID, ID: e.ID, At: s.Now, Shown: shown(e.Timestamp, s), Details: e.Details,
	}), out, nil
}

func (e *TaskEnd) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	task := svc.Task(int64(e.ID))
	if task == nil {
		return nil, Outcome{}, NoTask(e.Service, e.ID)
	}
	out := Outcome{Service: svc.ID, Task: task.ID}
	if task.Completed != nil {
		return records, out, nil
	}
	if err := svc.checkEnd(task.Details, e.Details, s); err != nil {
		return nil, Outcome{}, err
	}
	return append(records, Record{
		Kind: TaskEnded, Service: svc.ID, ID: e.ID, At: s.Now, Shown: shown(e.Timestamp, s), Details: e.Details,
	}), out, nil
}

func startService(c *Customer, e *ServiceStart, s Stamp) (Record, error) {
	if c.active >= s.Bounds.ActiveServices {
		return Record{}, invalid("", "%s has %d active services, which is the bound", c.Owner, c.active)
	}
	return Record{
		Kind: ServiceStarted, Service: s.ServiceID, At: s.Now, Shown: shown(e.Timestamp, s), Type: e.Type,
		ContactKey: e.ContactKey, AutoCompleteAfter: e.AutoCompleteAfter,
		Expires: expires(e.TTL, e.ExpirationTime, s), Details: e.Details,
	}, nil
}

func startState(svc *Service, number *int32, e *StateStart, s Stamp) (Record, error) {
	if err := nextNumber(svc, number, s); err != nil {
		return Record{}, err
	}
	return Record{
		Kind: StateStarted, Service: svc.ID, ID: *number, Ref: int32(e.Previous.Number), At: s.Now,
		Shown: shown(e.Timestamp, s), Type: e.Type, Details: e.Details,
	}, nil
}

func startTask(svc *Service, number *int32, e *TaskStart, s Stamp) (Record, error) {
	if err := nextNumber(svc, number, s); err != nil {
		return Record{}, err
	}
	return Record{
		Kind: TaskStarted, Service: svc.ID, ID: *number, Ref: int32(e.State.Number), At: s.Now,
		Shown: shown(e.Timestamp, s), Type: e.Type, Details: e.Details,
	}, nil
}

func nextNumber(svc *Service, number *int32, s Stamp) error {
	if int(*number) >= s.Bounds.Parts {
		return invalid("", "service %d has %d states and tasks, which is the bound", svc.ID, *number)
	}
	*number++
	return nil
}

// checkBytes bounds what a service would hold with so many bytes of details more: all of it is
// one row.
func (svc *Service) checkBytes(more int, s Stamp) error {
	if n := svc.Bytes + more; n > s.Bounds.ServiceBytes {
		return invalid("", "service %d would hold %d bytes of fields and extensions, the bound is %d", svc.ID, n, s.Bounds.ServiceBytes)
	}
	return nil
}

// checkMore bounds what a resource of svc would carry once more is sent for it: with the
// extensions that it would then have, and with so many bytes beside them.
func (svc *Service) checkMore(have, then Details, beside int, s Stamp) error {
	if n := then.Extensions(); n > s.Bounds.Extensions {
		return invalid("", "%d extensions in all, the bound is %d", n, s.Bounds.Extensions)
	}
	return svc.checkBytes(len(then)-len(have)+beside, s)
}

func (svc *Service) checkEnd(have, sent Details, s Stamp) error {
	return svc.checkMore(have, have.withExtensionsOf(sent), len(sent.withoutExtensions()), s)
}

func shown(client Instant, s Stamp) Instant {
	if client != 0 {
		return client
	}
	return s.Now
}

// expires is when a request's ttl or expiration_time falls due; ttl wins. A ttl past the end
// of time counts as the end of time.
func expires(ttl int64, at Instant, s Stamp) Instant {
	if ttl > 0 {
		return later(s.Now, ttl)
	}
	return at
}

// String names the owner as messages do.
func (o Owner) String() string {
	if o.Anonymous {
		return fmt.Sprintf("contact key %q", o.Key)
	}
	return fmt.Sprintf("customer %q", o.Key)
}

func invalid(place, reason string, args ...any) error {
	return &Error{Kind: ErrInvalid, Place: place, Reason: fmt.Sprintf(reason, args...)}
}

// NoService, NoState and NoTask are the refusals of an id that does not exist.
func NoService(id ServiceID) error {
	return &Error{Kind: ErrNotFound, Reason: fmt.Sprintf("service %d does not exist", id)}
}

// NoState: see NoService.
func NoState(service ServiceID, id int32) error {
	return &Error{Kind: ErrNotFound, Reason: fmt.Sprintf("state %d of service %d does not exist", id, service)}
}

// NoTask: see NoService.
func NoTask(service ServiceID, id int32) error {
	return &Error{Kind: ErrNotFound, Reason: fmt.Sprintf("task %d of service %d does not exist", id, service)}
}
