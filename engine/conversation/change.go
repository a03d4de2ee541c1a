package conversation

// What changes a service after its start, beside its ends.

func (e *ServiceDeletion) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	return append(records, Record{Kind: ServiceDeleted, Service: svc.ID, At: s.Now, Shown: s.Now}), Outcome{Service: svc.ID}, nil
}

func (e *ServicePurge) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	if svc.Started >= e.Limit || !e.Phase.Holds(svc.Completed != nil) || e.Anonymous && svc.CustomerID != "" {
		return records, Outcome{}, nil
	}
	return append(records, Record{Kind: ServiceDeleted, Service: svc.ID, At: s.Now, Shown: s.Now}), Outcome{Service: svc.ID}, nil
}

func (e *ServiceExpiration) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	return append(records, Record{
		Kind: ServiceExpires, Service: svc.ID, At: s.Now, Shown: s.Now, Expires: expires(e.TTL, e.ExpirationTime, s),
	}), Outcome{Service: svc.ID}, nil
}

// decide ends one state and starts the next: one group of records, so that both happen or
// neither.
func (e *StateTransition) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	const place = "from.state_id"
	if err := svc.checkState(ID{Number: e.From, Set: true}, place); err != nil {
		return nil, Outcome{}, err
	}
	from := svc.State(e.From)
	if from.Completed != nil {
		return nil, Outcome{}, invalid(place, "state %d of service %d has ended", e.From, e.Service)
	}
	number := svc.Number()
	start, err := startState(svc, &number, &StateStart{
		Type: e.To, Previous: ID{Number: e.From, Set: true}, Timestamp: e.Timestamp, Details: e.Started,
	}, s)
	if err != nil {
		return nil, Outcome{}, err
	}
	end := Record{
		Kind: StateEnded, Service: svc.ID, ID: from.ID, At: s.Now, Shown: shown(e.Timestamp, s), Details: e.Ended,
	}
	return append(records, end, start), Outcome{Service: svc.ID, State: start.ID, StateCreated: true},
		svc.checkBytes(len(e.Ended)+len(e.Started), s)
}

func (e *ExtensionChange) decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error) {
	svc := c.Service(e.Service)
	if svc == nil {
		return nil, Outcome{}, NoService(e.Service)
	}
	r := Record{Kind: ServiceExtended, Service: svc.ID, At: s.Now, Shown: s.Now}
	have := svc.Details
	switch {
	case e.State != 0:
		state := svc.State(int64(e.State))
		if state == nil {
			return nil, Outcome{}, NoState(e.Service, e.State)
		}
		r.Kind, r.ID, have = StateExtended, e.State, state.Details
	case e.Task != 0:
		task := svc.Task(int64(e.Task))
		if task == nil {
			return nil, Outcome{}, NoTask(e.Service, e.Task)
		}
		r.Kind, r.ID, have = TaskExtended, e.Task, task.Details
	}
	value := e.JSON
	if stored := have.Extension(e.Name); e.Merge && stored != nil {
		var err error
		if value, err = mergeObjects(stored, e.JSON); err != nil {
			return nil, Outcome{}, invalid(e.Name, "cannot be merged: %v", err)
		}
	}
	r.Details = Details(nil).AppendExtension([]byte(e.Name), value)
	return append(records, r), Outcome{Service: svc.ID}, Under(e.Name, svc.checkMore(have, have.withExtensionsOf(r.Details), 0, s))
}

// DecideAssociation says what e does to the two it concerns: the records of source, whose
// service leaves, and those of target, where it starts again with all it holds. Both are to be
// applied and kept together. None mean that it is there already, and nothing changes.
func DecideAssociation(source, target *Customer, e *ServiceAssociation, s Stamp) (left, joined []Record, err error) {
	svc := source.Service(e.Service)
	switch {
	case svc == nil:
		return nil, nil, NoService(e.Service)
	case source == target:
		return nil, nil, nil
	case svc.Completed == nil && target.active >= s.Bounds.ActiveServices:
		return nil, nil, invalid("", "%s has %d active services, which is the bound", target.Owner, target.active)
	}
	moved := svc.Clone()
	moved.update(&e.Update, s)
	if err := svc.checkMore(svc.Details, moved.Details, 0, s); err != nil {
		return nil, nil, err
	}
	left = []Record{{Kind: ServiceLeft, Service: svc.ID, At: s.Now, Shown: s.Now}}
	return left, moved.Records(nil), nil
}

// update takes over what e carries.
func (s *Service) update(e *ServiceStart, stamp Stamp) {
	s.Updated = max(s.Updated, stamp.Now)
	s.Details = s.Details.withMembersOf(e.Details)
	if e.Type.Present() {
		s.Type = e.Type
	}
	if e.ContactKey != "" {
		s.ContactKey = e.ContactKey
	}
	if e.AutoCompleteAfter != 0 {
		s.AutoCompleteAfter = e.AutoCompleteAfter
	}
	if at := expires(e.TTL, e.ExpirationTime, stamp); at != 0 {
		s.Expires = at
	}
	if e.Timestamp != 0 {
		s.Started = e.Timestamp
	}
}
