package engine

import (
	"time"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The domain's types, so that a program that embeds the engine imports this package alone.
type (
	// Composite is one item of a composite start.
	Composite = conversation.Composite
	// ServiceStart, StateStart and TaskStart start one thing each.
	ServiceStart = conversation.ServiceStart
	StateStart   = conversation.StateStart
	TaskStart    = conversation.TaskStart
	// ServiceEnd, StateEnd and TaskEnd complete it.
	ServiceEnd = conversation.ServiceEnd
	StateEnd   = conversation.StateEnd
	TaskEnd    = conversation.TaskEnd
	// ServiceAssociation moves a service to a customer and updates it.
	ServiceAssociation = conversation.ServiceAssociation
	// ServiceExpiration sets when a service expires.
	ServiceExpiration = conversation.ServiceExpiration
	// StateTransition ends one state and starts the next.
	StateTransition = conversation.StateTransition
	// ExtensionChange replaces an extension, or merges an object into it.
	ExtensionChange = conversation.ExtensionChange
	// Outcome is what a composite start found or created.
	Outcome = conversation.Outcome
	// Service, State and Task are what is read.
	Service = conversation.Service
	State   = conversation.State
	Task    = conversation.Task
	// ID refers to a state, of which a client may name any; the zero ID is absent.
	ID = conversation.ID
	// ServiceID identifies a service.
	ServiceID = conversation.ServiceID
	// Value is a field that takes an integer or a string; make one with String or Integer.
	Value = conversation.Value
	// Details are the common fields and extensions of an event.
	Details = conversation.Details
	// Instant is a point in time; make one with At.
	Instant = conversation.Instant
)

// String makes a Value of a string.
func String(s string) Value { return conversation.String(s) }

// Integer makes a Value of an integer.
func Integer(n int64) Value { return conversation.Integer(n) }

// At cuts a time to an Instant's milliseconds. The zero time is the zero Instant: absent.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli()) + conversation.UnixEpoch
}

// Time is the Instant as a time in UTC.
func Time(i Instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i - conversation.UnixEpoch)).UTC()
}

// Phase selects services by whether they are completed.
type Phase = conversation.Phase

// The phases that a read may ask for.
const (
	AnyPhase  = conversation.AnyPhase
	Active    = conversation.Active
	Completed = conversation.Completed
)
