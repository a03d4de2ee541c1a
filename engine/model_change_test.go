package engine

import (
	"encoding/json"
	"slices"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The model's changes and reads.

type stateRef = conversation.ID

func (m *model) associate(tenant string, e *ServiceAssociation) error {
	m.letDue()
	update := e.Update
	update.CustomerID = "" // not looked at
	if e.CustomerID == "" || len(e.CustomerID) > m.bounds.KeyBytes || !m.validFields(&update) {
		return ErrInvalid
	}
	s := m.service(tenant, e.Service)
	if s == nil {
		return ErrNotFound
	}
	if s.customer == e.CustomerID {
		m.count("associated before")
		return nil
	}
	event := unpack(update.Details)
	if m.tooMany(s.said, event) || s.completed == nil && m.full(tenant, e.CustomerID, "") {
		return ErrInvalid
	}
	m.countMove(s)
	m.update(s)
	s.customer = e.CustomerID
	if update.ContactKey != "" {
		s.contact = update.ContactKey
	}
	if update.Type.Present() {
		s.typ = update.Type
	}
	if update.AutoCompleteAfter > 0 {
		s.autoCompleteAfter = update.AutoCompleteAfter
	}
	if update.Timestamp != 0 {
		s.started = update.Timestamp
	}
	s.expires = m.expiration(update.TTL, update.ExpirationTime, s.expires)
	s.said = s.said.with(event)
	return nil
}

func (m *model) countMove(s *modelService) {
	what := "moved from a customer"
	if s.customer == "" {
		what = "moved from a contact key"
	}
	m.count(what)
	if s.completed != nil {
		m.count("moved when completed")
	}
}

func (m *model) deleteService(tenant string, id ServiceID) error {
	m.letDue()
	s := m.service(tenant, id)
	if s == nil {
		return ErrNotFound
	}
	m.remove(s)
	return nil
}

func (m *model) setExpiration(tenant string, e *ServiceExpiration) error {
	m.letDue()
	if e.TTL < 0 || e.TTL == 0 && e.ExpirationTime == 0 {
		return ErrInvalid
	}
	s := m.service(tenant, e.Service)
	if s == nil {
		return ErrNotFound
	}
	m.update(s)
	s.expires = m.expiration(e.TTL, e.ExpirationTime, 0)
	return nil
}

func (m *model) transition(tenant string, e *StateTransition, id int32) (int32, error) {
	m.letDue()
	if !m.validPart(e.To, e.Started) {
		return 0, ErrInvalid
	}
	s := m.service(tenant, e.Service)
	if s == nil {
		return 0, ErrNotFound
	}
	from := find(s.states, e.From)
	if from == nil {
		m.count("transition from no state")
		return 0, ErrInvalid
	}
	if from.completed != nil {
		m.count("transition from an ended state")
		return 0, ErrInvalid
	}
	if m.noRoom(s) {
		return 0, ErrInvalid
	}
	m.update(s)
	from.completed = &modelEnd{m.at(e.Timestamp), unpack(e.Ended)}
	to := &StateStart{Type: e.To, Previous: stateRef{Number: e.From, Set: true}, Timestamp: e.Timestamp, Details: e.Started}
	return m.addState(s, to, id).id, nil
}

func (m *model) setExtension(tenant string, e *ExtensionChange) error {
	m.letDue()
	if len(e.Name) > m.bounds.NameBytes {
		return ErrInvalid
	}
	s := m.service(tenant, e.Service)
	if s == nil {
		return ErrNotFound
	}
	of := &s.said
	if p := partOf(s, e); p != nil {
		of = &p.said
	} else if e.State != 0 || e.Task != 0 {
		return ErrNotFound
	}
	value := string(e.JSON)
	if was, stored := of.extensions[e.Name]; e.Merge && stored {
		if was[0] != '{' {
			m.count("merged into no object")
			return ErrInvalid
		}
		value = merge(was, value)
		m.count("merged")
	}
	event := said{extensions: map[string]string{e.Name: value}}
	if m.tooMany(*of, event) {
		return ErrInvalid
	}
	m.update(s)
	*of = of.with(event)
	return nil
}

// partOf is the state or task that a change names; nil when there is none.
func partOf(s *modelService, e *ExtensionChange) *modelPart {
	if e.State != 0 {
		return find(s.states, int64(e.State))
	}
	return find(s.tasks, int64(e.Task))
}

// merge is one object with the members of another added or replaced.
func merge(into, members string) string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal([]byte(into), &a) != nil || json.Unmarshal([]byte(members), &b) != nil {
		panic(into + members)
	}
	for name, value := range b {
		a[name] = value
	}
	text, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (m *model) purge(tenant string, p Purge) (removed int, err error) {
	m.letDue()
	if p.Limit == 0 {
		return 0, ErrInvalid
	}
	for _, s := range slices.Clone(m.services) {
		if s.tenant == tenant && s.started < p.Limit && inPhase(s, p.Phase) && (s.customer == "" || !p.Anonymous) {
			m.remove(s)
			m.count("purged")
			removed++
		}
	}
	return removed, nil
}

func inPhase(s *modelService, p Phase) bool {
	switch p {
	case Active:
		return s.completed == nil
	case Completed:
		return s.completed != nil
	}
	return true
}

func (m *model) export(tenant string, f Filter) (services []*modelService, err error) {
	m.letDue()
	if f.From == 0 {
		return nil, ErrInvalid
	}
	if f.To == 0 {
		f.To = m.now + 1
	}
	in := func(at Instant) bool { return f.From <= at && at < f.To }
	for _, s := range m.services {
		started := f.Events != Ended && in(s.started)
		ended := f.Events != Started && s.completed != nil && in(s.completed.at)
		if s.tenant == tenant && inPhase(s, f.Phase) && (started || ended) {
			m.count("exported")
			services = append(services, s)
		}
	}
	return services, nil
}

func (m *model) customerServices(tenant, customer string, p Phase) []*modelService {
	return m.list(p, func(s *modelService) bool {
		return s.tenant == tenant && customer != "" && s.customer == customer
	})
}

func (m *model) anonymousServices(tenant, contact string, p Phase) []*modelService {
	return m.list(p, func(s *modelService) bool {
		return s.tenant == tenant && contact != "" && s.customer == "" && s.contact == contact
	})
}

func (m *model) list(p Phase, belongs func(*modelService) bool) (services []*modelService) {
	m.letDue()
	for _, s := range m.services {
		if belongs(s) && inPhase(s, p) {
			services = append(services, s)
		}
	}
	slices.SortFunc(services, older)
	return services
}
