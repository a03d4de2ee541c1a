package conversation

import "errors"

// The kinds of refusal, for errors.Is.
var (
	// ErrInvalid: the request is wrong in itself or does not fit what is stored.
	ErrInvalid = errors.New("invalid request")
	// ErrNotFound: the service, state or task does not exist.
	ErrNotFound = errors.New("not found")
)

// Error is a refusal: of what kind, where in the request, and why, with the value.
type Error struct {
	Kind   error
	Place  string // a path into the request, such as services[3].state.state_type; may be empty
	Reason string
}

func (e *Error) Error() string {
	if e.Place == "" {
		return e.Reason
	}
	return e.Place + ": " + e.Reason
}

// Unwrap is the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Under is the error with its place put under a prefix; other errors come back as they are.
func Under(prefix string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	switch {
	case at.Place == "":
		at.Place = prefix
	default:
		at.Place = prefix + "." + at.Place
	}
	return &at
}
