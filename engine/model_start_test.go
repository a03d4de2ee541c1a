package engine

// The model's starts and ends. What is looked at first wins: the request's own fields, then
// whether the service, state or task is there, then its state.

// compositeStart does what the contract says. given are the engine's outcomes, for their ids.
func (m *model) compositeStart(tenant string, items []Composite, given []Outcome) (outcomes []Outcome, err error) {
	m.letDue()
	if len(items) == 0 || len(items) > m.bounds.Items {
		return nil, ErrInvalid
	}
	for i := range items {
		if !m.validItem(&items[i]) {
			return nil, ErrInvalid
		}
	}
	for i := range items {
		m.letDue()
		var ids Outcome
		if i < len(given) {
			ids = given[i]
		}
		out, err := m.item(tenant, &items[i], ids)
		if err != nil {
			m.count("item refused")
			if i > 0 {
				m.count("item refused after others")
			}
			return outcomes, err
		}
		outcomes = append(outcomes, out)
	}
	return outcomes, nil
}

func (m *model) validItem(item *Composite) bool {
	return m.validService(&item.Service) &&
		m.validPart(item.State.Type, item.State.Details) &&
		(!item.HasTask || m.validPart(item.Task.Type, item.Task.Details))
}

func (m *model) validService(s *ServiceStart) bool {
	return (s.CustomerID != "" || s.ContactKey != "") && s.Type.Present() && m.validFields(s)
}

// validFields holds for an association's update too, where nothing is mandatory.
func (m *model) validFields(s *ServiceStart) bool {
	return len(s.CustomerID) <= m.bounds.KeyBytes && len(s.ContactKey) <= m.bounds.KeyBytes &&
		s.AutoCompleteAfter >= 0 && s.TTL >= 0 && m.validPart(s.Type, s.Details)
}

func (m *model) validPart(typ Value, d Details) bool {
	extensions := unpack(d).extensions
	for name := range extensions {
		if len(name) > m.bounds.NameBytes {
			return false
		}
	}
	return len(typ.Text()) <= m.bounds.KeyBytes && len(extensions) <= m.bounds.Extensions
}

// item is one of a composite start: refused as a whole, or done as a whole.
func (m *model) item(tenant string, item *Composite, ids Outcome) (out Outcome, err error) {
	s := m.match(tenant, item)
	if s == nil {
		if m.full(tenant, item.Service.CustomerID, item.Service.ContactKey) {
			return out, ErrInvalid
		}
		s = m.newService(tenant, &item.Service)
		out.ServiceCreated = true
	}
	state := newest(s.states, item.State.Type)
	var task *modelPart
	if item.HasTask {
		task = newest(s.tasks, item.Task.Type)
	}
	out.StateCreated, out.TaskCreated = state == nil, item.HasTask && task == nil

	// A wrong reference is one also where what would carry it is found; only associating wins.
	if !isState(s, item.State.Previous) || item.HasTask && !item.Associate && !isState(s, item.Task.State) {
		return Outcome{}, ErrInvalid
	}
	if len(s.states)+len(s.tasks)+trues(out.StateCreated, out.TaskCreated) > m.bounds.Parts {
		return Outcome{}, ErrInvalid
	}

	// Nothing can be wrong any more.
	if out.ServiceCreated {
		s.id = m.takeID(ids.Service)
		m.services = append(m.services, s)
	}
	// Being found is an update where a timer counts from it; elsewhere nobody could tell, but
	// for a clock that has gone back since.
	timed := m.completesAt(s) != never || s.expires == 0 && m.expireAfter > 0
	if timed || out.ServiceCreated || out.StateCreated || out.TaskCreated {
		m.update(s)
	}
	if out.StateCreated {
		state = m.addState(s, &item.State, ids.State)
	}
	out.Service, out.State = s.id, state.id
	if out.TaskCreated {
		task = m.addTask(s, &item.Task, ids.Task)
		if item.Associate {
			task.ref = state.id
			m.count("task associated")
		}
	}
	if item.HasTask {
		out.Task = task.id
	}
	m.countItem(out, item)
	return out, nil
}

func trues(of ...bool) (n int) {
	for _, b := range of {
		if b {
			n++
		}
	}
	return n
}

func (m *model) countItem(out Outcome, item *Composite) {
	say := func(what string, created bool) {
		if created {
			m.count(what + " created")
		} else {
			m.count(what + " found")
		}
	}
	say("service", out.ServiceCreated)
	say("state", out.StateCreated)
	if item.HasTask {
		say("task", out.TaskCreated)
	}
	if item.Service.CustomerID == "" {
		say("anonymous service", out.ServiceCreated)
	}
}

// match is the active service that a composite start finds; nil when there is none.
func (m *model) match(tenant string, item *Composite) (found *modelService) {
	want := &item.Service
	matching := 0
	for _, s := range m.services {
		if s.tenant != tenant || s.completed != nil || !same(s.typ, want.Type) || s.customer != want.CustomerID ||
			want.ContactKey != "" && s.contact != want.ContactKey {
			continue
		}
		matching++
		if found == nil || older(found, s) < 0 {
			found = s
		}
	}
	if matching > 1 {
		m.count("service of several")
	}
	if item.CreateNew {
		if found != nil {
			m.count("service forced")
		}
		return nil
	}
	return found
}

// newest is the active one of that type that was started last; nil when there is none.
func newest(parts []*modelPart, typ Value) (found *modelPart) {
	for _, p := range parts {
		if p.completed != nil || !same(p.typ, typ) {
			continue
		}
		if found == nil || p.started > found.started || p.started == found.started && p.id > found.id {
			found = p
		}
	}
	return found
}

// full tells whether the owner can have no further active service.
func (m *model) full(tenant, customer, contact string) bool {
	active := 0
	for _, s := range m.services {
		if s.tenant == tenant && s.completed == nil && s.customer == customer && (customer != "" || s.contact == contact) {
			active++
		}
	}
	if active >= m.bounds.ActiveServices {
		m.count("bound on active services")
		return true
	}
	return false
}

// isState tells whether a reference that was sent leads to a state.
func isState(s *modelService, ref stateRef) bool {
	return !ref.Set || find(s.states, ref.Number) != nil
}

func (m *model) newService(tenant string, e *ServiceStart) *modelService {
	return &modelService{
		tenant: tenant, typ: e.Type, customer: e.CustomerID, contact: e.ContactKey,
		autoCompleteAfter: e.AutoCompleteAfter, expires: m.expiration(e.TTL, e.ExpirationTime, 0),
		updated: m.now, started: m.at(e.Timestamp), said: unpack(e.Details),
	}
}

// expiration is the one that was sent, else the one there was.
func (m *model) expiration(ttl int64, at, was Instant) Instant {
	switch {
	case ttl > 0:
		return afterSeconds(m.now, ttl)
	case at != 0:
		return at
	}
	return was
}

// at is the client's timestamp, else the server's.
func (m *model) at(sent Instant) Instant {
	if sent != 0 {
		return sent
	}
	return m.now
}

func (m *model) addState(s *modelService, e *StateStart, id int32) *modelPart {
	p := &modelPart{id: m.takePart(s, id), typ: e.Type, started: m.at(e.Timestamp), said: unpack(e.Details)}
	if e.Previous.Set {
		p.ref = int32(e.Previous.Number)
	}
	s.states = append(s.states, p)
	return p
}

func (m *model) addTask(s *modelService, e *TaskStart, id int32) *modelPart {
	p := &modelPart{id: m.takePart(s, id), typ: e.Type, started: m.at(e.Timestamp), said: unpack(e.Details)}
	if e.State.Set {
		p.ref = int32(e.State.Number)
	}
	s.tasks = append(s.tasks, p)
	return p
}

func (m *model) startService(tenant string, e *ServiceStart, id ServiceID) (ServiceID, error) {
	m.letDue()
	if !m.validService(e) || m.full(tenant, e.CustomerID, e.ContactKey) {
		return 0, ErrInvalid
	}
	s := m.newService(tenant, e)
	s.id = m.takeID(id)
	m.services = append(m.services, s)
	return s.id, nil
}

func (m *model) startState(tenant string, e *StateStart, id int32) (int32, error) {
	m.letDue()
	if !m.validPart(e.Type, e.Details) {
		return 0, ErrInvalid
	}
	s := m.service(tenant, e.Service)
	if s == nil {
		return 0, ErrNotFound
	}
	if !isState(s, e.Previous) || m.noRoom(s) {
		return 0, ErrInvalid
	}
	m.countUnder(s)
	m.update(s)
	return m.addState(s, e, id).id, nil
}

func (m *model) startTask(tenant string, e *TaskStart, id int32) (int32, error) {
	m.letDue()
	if !m.validPart(e.Type, e.Details) {
		return 0, ErrInvalid
	}
	s := m.service(tenant, e.Service)
	if s == nil {
		return 0, ErrNotFound
	}
	if !isState(s, e.State) || m.noRoom(s) {
		return 0, ErrInvalid
	}
	m.countUnder(s)
	m.update(s)
	return m.addTask(s, e, id).id, nil
}

func (m *model) noRoom(s *modelService) bool {
	if len(s.states)+len(s.tasks) < m.bounds.Parts {
		return false
	}
	m.count("bound on states and tasks")
	return true
}

func (m *model) countUnder(s *modelService) {
	if s.completed != nil {
		m.count("started under a completed service")
	}
}

func (m *model) endService(tenant string, e *ServiceEnd) error {
	m.letDue()
	event := unpack(e.Details)
	if !m.validPart(Value{}, e.Details) || e.TTL < 0 {
		return ErrInvalid
	}
	s := m.service(tenant, e.Service)
	if s == nil {
		return ErrNotFound
	}
	if s.completed != nil {
		m.count("service ended before")
		return nil
	}
	if m.tooMany(s.said, event) {
		return ErrInvalid
	}
	m.update(s)
	s.expires = m.expiration(e.TTL, e.ExpirationTime, s.expires)
	s.end(&modelEnd{m.at(e.Timestamp), event.fieldsOnly()}, event)
	return nil
}

// tooMany tells whether a resource would have more extensions than it may, with those of an event.
func (m *model) tooMany(has, event said) bool {
	if len(has.with(event).extensions) <= m.bounds.Extensions {
		return false
	}
	m.count("bound on extensions")
	return true
}

func (m *model) endState(tenant string, e *StateEnd) error {
	return m.endPart(tenant, e.Service, false, e.ID, e.Timestamp, e.Details)
}

func (m *model) endTask(tenant string, e *TaskEnd) error {
	return m.endPart(tenant, e.Service, true, e.ID, e.Timestamp, e.Details)
}

func (m *model) endPart(tenant string, service ServiceID, task bool, id int32, at Instant, d Details) error {
	m.letDue()
	event := unpack(d)
	if !m.validPart(Value{}, d) {
		return ErrInvalid
	}
	s := m.service(tenant, service)
	if s == nil {
		return ErrNotFound
	}
	parts := s.states
	if task {
		parts = s.tasks
	}
	p := find(parts, int64(id))
	if p == nil {
		return ErrNotFound
	}
	if p.completed != nil {
		m.count("state or task ended before")
		return nil
	}
	if m.tooMany(p.said, event) {
		return ErrInvalid
	}
	m.update(s)
	p.said = p.said.with(said{extensions: event.extensions})
	p.completed = &modelEnd{m.at(at), event.fieldsOnly()}
	return nil
}
