package conversation

// Event is one message that may change a customer: each type in this file, and no other.
// What it must hold on its own (mandatory fields, bounds of lengths) is checked before it
// comes here; what only the stored state can show is refused by Decide.
type Event interface {
	decide(c *Customer, s Stamp, records []Record) ([]Record, Outcome, error)
	// target is the service that must be loaded before deciding; 0 for none.
	target() ServiceID
}

// Stamp carries every outside fact of a decision; deciding looks at nothing else.
type Stamp struct {
	Now       Instant   // the server's time
	ServiceID ServiceID // the id that a new service takes
	Bounds    Bounds
	Timers    Timers
}

// Bounds are the limits that only the stored state can show to be passed.
type Bounds struct {
	ActiveServices int // of one customer or contact key
	Parts          int // states and tasks of one service together
	Extensions     int // of one service, state or task
	ServiceBytes   int // of the details of one service, its states and tasks
}

// ServiceStart asks for a new service.
type ServiceStart struct {
	CustomerID        string // empty for an anonymous service
	ContactKey        string // one of the two is mandatory
	Type              Value  // mandatory
	AutoCompleteAfter int64  // seconds, 0 for none
	TTL               int64  // seconds from now until the service expires, 0 for none
	ExpirationTime    Instant
	Timestamp         Instant // the client's; the server's time when zero
	Details           Details
}

// Owner is who the service will belong to.
func (e *ServiceStart) Owner(tenant string) Owner {
	if e.CustomerID != "" {
		return Owner{Tenant: tenant, Key: e.CustomerID}
	}
	return Owner{Tenant: tenant, Key: e.ContactKey, Anonymous: true}
}

// StateStart asks for a new state of a service.
type StateStart struct {
	Service   ServiceID // not looked at in a Composite
	Type      Value     // absent matches only absent
	Previous  ID        // previous_state_id
	Timestamp Instant
	Details   Details
}

// TaskStart asks for a new task of a service.
type TaskStart struct {
	Service   ServiceID // not looked at in a Composite
	Type      Value     // absent matches only absent
	State     ID        // state_id
	Timestamp Instant
	Details   Details
}

// ID refers to a state or task as a client names it: any integer may be sent, only those
// that exist are found. The zero ID is absent.
type ID struct {
	Number int64
	Set    bool
}

// Composite asks to find or create a service, a state in it and, where HasTask, a task.
type Composite struct {
	Service   ServiceStart
	State     StateStart
	Task      TaskStart
	HasTask   bool
	Associate bool // the created task gets the state's id
	CreateNew bool // a new service even where one matches
}

// ServiceEnd, StateEnd and TaskEnd complete a service, a state, a task.
type (
	ServiceEnd struct {
		Service        ServiceID
		TTL            int64
		ExpirationTime Instant
		Timestamp      Instant
		Details        Details
	}
	StateEnd struct {
		Service   ServiceID
		ID        int32
		Timestamp Instant
		Details   Details
	}
	TaskEnd struct {
		Service   ServiceID
		ID        int32
		Timestamp Instant
		Details   Details
	}
)

// ServiceAssociation moves a service to a customer, and updates it by what Update carries: what
// is absent there is left as it is, common fields and extensions are replaced by name. It is
// the one event over two customers: see DecideAssociation.
type ServiceAssociation struct {
	Service    ServiceID
	CustomerID string       // mandatory
	Update     ServiceStart // its CustomerID is not looked at
}

// ServiceDeletion removes a service with its states and tasks.
type ServiceDeletion struct{ Service ServiceID }

// ServiceExpiration sets when a service expires; one of the two is mandatory, TTL wins.
type ServiceExpiration struct {
	Service        ServiceID
	TTL            int64 // seconds from now
	ExpirationTime Instant
}

// StateTransition ends one state and starts the next, both or neither.
type StateTransition struct {
	Service   ServiceID
	From      int64 // the state that ends
	To        Value // the type of the one that starts
	Timestamp Instant
	Ended     Details // of the end: common fields and dispositions
	Started   Details // of the start: common fields and extensions
}

// ExtensionChange replaces one extension of a service or, where one is given, of a state or a
// task of it; or merges an object into it.
type ExtensionChange struct {
	Service ServiceID
	State   int32 // 0 for none
	Task    int32 // 0 for none
	Name    string
	JSON    []byte // one valid JSON value, without white space between its tokens
	Merge   bool   // JSON is an object, whose members are added or replaced
}

// ServicePurge removes a service if it was started before Limit, is in Phase and, where
// Anonymous, has no customer; else it changes nothing, and the Outcome is zero.
type ServicePurge struct {
	Service   ServiceID
	Limit     Instant // strictly before it
	Phase     Phase
	Anonymous bool
}

// Phase selects services by whether they are completed.
type Phase uint8

// The phases that can be asked for.
const (
	AnyPhase Phase = iota
	Active
	Completed
)

// Holds tells whether a service that is completed, or is not, is in the phase.
func (p Phase) Holds(completed bool) bool { return p == AnyPhase || completed == (p == Completed) }

// Outcome is what an event found or created. State and Task are 0 where it had none.
type Outcome struct {
	Service        ServiceID
	State          int32
	Task           int32
	ServiceCreated bool
	StateCreated   bool
	TaskCreated    bool
}

func (e *ServiceStart) target() ServiceID { return 0 }
func (e *StateStart) target() ServiceID   { return e.Service }
func (e *TaskStart) target() ServiceID    { return e.Service }
func (e *Composite) target() ServiceID    { return 0 }
func (e *ServiceEnd) target() ServiceID   { return e.Service }
func (e *StateEnd) target() ServiceID     { return e.Service }
func (e *TaskEnd) target() ServiceID      { return e.Service }

func (e *ServiceDeletion) target() ServiceID   { return e.Service }
func (e *ServiceExpiration) target() ServiceID { return e.Service }
func (e *StateTransition) target() ServiceID   { return e.Service }
func (e *ExtensionChange) target() ServiceID   { return e.Service }
func (e *ServicePurge) target() ServiceID      { return e.Service }

// Target is the service that the customer must have loaded before e is decided; 0 for none.
func Target(e Event) ServiceID { return e.target() }
