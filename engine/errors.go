package engine

import (
	"errors"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// The kinds of error that the operations give back, for errors.Is. A refusal with a place
// and a value is an *Error, for errors.As.
var (
	// ErrInvalid: the request is wrong in itself or does not fit what is stored; nothing of it
	// was kept.
	ErrInvalid = conversation.ErrInvalid
	// ErrNotFound: the service, state or task does not exist.
	ErrNotFound = conversation.ErrNotFound
	// ErrOverloaded: a bound on requests in flight is reached; nothing was kept.
	ErrOverloaded = errors.New("overloaded")
	// ErrUnknownOutcome: the caller's context ended before the answer was safe on disk. The
	// request may yet take effect; a composite start or an end may be repeated.
	ErrUnknownOutcome = errors.New("gave up before the answer was safe; the outcome is unknown")
	// ErrNoSpace: the disk has less than the reserve free; nothing was kept, reads go on.
	ErrNoSpace = persist.ErrNoSpace
	// ErrClosed: the engine is closing or closed.
	ErrClosed = errors.New("the engine is closed")
	// ErrInternal: a fault of the engine; the customer is rebuilt from disk.
	ErrInternal = errors.New("internal error")
)

// Error is a refusal with its place in the request.
type Error = conversation.Error
