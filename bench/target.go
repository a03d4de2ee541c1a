package bench

import (
	"context"
	"errors"
)

// Target is what a load is put on: Switchboard over HTTP, the engine in-process, or a rival.
type Target interface {
	// Name is how reports call it.
	Name() string
	// Dial gives one connection, which one goroutine uses.
	Dial(ctx context.Context) (Conn, error)
	// Close ends what the target holds beside its connections.
	Close() error
}

// Conn sends one request at a time.
type Conn interface {
	// Do returns once r is answered, with an error for any answer that is not the one wanted.
	Do(r *Request) error
	Close() error
}

// Request is one request, in every form that a target may need. It belongs to its caller again
// once Do returns: its bytes are then written over, and those of its strings as well, so that who
// keeps one clones it.
type Request struct {
	Method string
	Path   string // below the server's address
	Body   []byte // JSON; nil for none
	Items  []Item // what a composite start says, for targets that are not asked over HTTP
}

// Item is one item of a composite start.
type Item struct {
	Customer, Service, State, Task string // customer_id and the three types
	Wants                          Want
	ServiceJSON                    []byte // each event as JSON
	StateJSON, TaskJSON            []byte
}

// Want is what an item's answer must say of its service. Anything else is an error, although the
// server answered with success.
type Want uint8

// The zero Want takes either: what is made before a run may be there from another one of the same
// seed.
const (
	Either Want = iota
	Created
	Found
)

// Check looks at an answer that says whether the item's service was created.
func (i *Item) Check(created bool) error {
	switch {
	case i.Wants == Created && !created:
		return ErrFound
	case i.Wants == Found && created:
		return ErrCreated
	}
	return nil
}

// What Check finds wrong; each is a kind of error of its own in reports.
var (
	ErrFound   = errors.New("found where it should have created")
	ErrCreated = errors.New("created where it should have found")
)

// Starter is a Conn that tells which service the last answered start made, 0 for none. A
// conversation needs it.
type Starter interface{ Started() int64 }

// Local is a Target whose process can be watched from here; 0 for none.
type Local interface{ PID() int }
