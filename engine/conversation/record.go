package conversation

// Record is one thing that was decided. What Decide returns are Records, what the journal
// keeps are Records, and Apply changes a Customer by nothing else: this file is the closed
// list of what can happen. A record holds the decision with every time and id in it, not the
// request, so that a later Decide cannot change the past.
type Record struct {
	Kind    Kind
	Service ServiceID
	ID      int32   // of the state or task
	Ref     int32   // the state before a state, the state that a task belongs to; 0 for none
	At      Instant // the server's time of the decision
	Shown   Instant // what replies show as the timestamp: the client's, or At
	Type    Value   // service_type, state_type or task_type

	ContactKey        string  // ServiceStarted: beside the customer id, or the anonymous owner's key
	AutoCompleteAfter int64   // ServiceStarted: seconds, 0 for none
	Expires           Instant // ServiceStarted, ServiceEnded, ServiceExpires: zero for none

	Details Details
}

// Kind tells what a Record did. The numbers stand on disk.
type Kind uint8

// What can happen to a customer.
const (
	// ServiceStarted, StateStarted and TaskStarted make a service, a state, a task.
	ServiceStarted Kind = iota + 1
	StateStarted
	TaskStarted
	// ServiceEnded completes a service and, at the same instant, every state and task of it
	// that is still active.
	ServiceEnded
	// StateEnded and TaskEnded complete one state, one task.
	StateEnded
	TaskEnded
	// ServiceDeleted removes a service with its states and tasks, for good.
	ServiceDeleted
	// ServiceLeft removes it from this owner: in the same group of records it is started again,
	// with all it holds, at the customer that it now belongs to.
	ServiceLeft
	// ServiceFound says when a composite start found the service, where a timer counts from it.
	ServiceFound
	// ServiceExpires sets when the service expires.
	ServiceExpires
	// ServiceExtended, StateExtended and TaskExtended set extensions, by name.
	ServiceExtended
	StateExtended
	TaskExtended
	kindCount
)

var kindNames = [kindCount]string{
	ServiceStarted: "service-started",
	StateStarted:   "state-started",
	TaskStarted:    "task-started",
	ServiceEnded:   "service-ended",
	StateEnded:     "state-ended",
	TaskEnded:      "task-ended",

	ServiceDeleted:  "service-deleted",
	ServiceLeft:     "service-left",
	ServiceFound:    "service-found",
	ServiceExpires:  "service-expires",
	ServiceExtended: "service-extended",
	StateExtended:   "state-extended",
	TaskExtended:    "task-extended",
}

// Valid tells whether k is one of the kinds above.
func (k Kind) Valid() bool { return k > 0 && k < kindCount }

// String names the kind as the tests and tools print it.
func (k Kind) String() string {
	if !k.Valid() {
		return "invalid"
	}
	return kindNames[k]
}
