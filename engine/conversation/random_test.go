package conversation_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

var seed = flag.Uint64("seed", 0, "seed of the random tests; 0 takes the time")

// random makes events of few values, so that they meet each other.
type random struct{ *rand.Rand }

func newRandom(t *testing.T) random {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", s)
	return random{rand.New(rand.NewPCG(s, 0))}
}

func (r random) details() (d conversation.Details) {
	for range r.IntN(3) {
		json := []byte{'0' + byte(r.IntN(10))}
		if r.IntN(2) == 0 {
			d = d.AppendField(conversation.SessionID+conversation.Field(r.IntN(int(conversation.DispositionDesc))), json)
		} else if name := []byte{'a' + byte(r.IntN(6))}; !hasExtension(d, name) {
			d = d.AppendExtension(name, json)
		}
	}
	return d
}

func hasExtension(d conversation.Details, name []byte) bool {
	for m := range d.Members() {
		if m.IsExtension() && bytes.Equal(m.Name, name) {
			return true
		}
	}
	return false
}

func (r random) value() conversation.Value {
	return []conversation.Value{
		{}, conversation.String("card"), conversation.String("5"), conversation.Integer(5), conversation.String(""),
	}[r.IntN(5)]
}

func (r random) id() conversation.ID {
	return conversation.ID{Number: int64(r.IntN(5)), Set: r.IntN(4) == 0}
}

func (r random) instant() conversation.Instant { return conversation.Instant(r.IntN(3)) }

func (r random) serviceStart(o conversation.Owner) conversation.ServiceStart {
	e := conversation.ServiceStart{
		CustomerID: o.Key, ContactKey: []string{"", "555"}[r.IntN(2)], Type: r.value(),
		AutoCompleteAfter: int64(r.IntN(2)), TTL: int64(r.IntN(2)), ExpirationTime: r.instant(),
		Timestamp: r.instant(), Details: r.details(),
	}
	if o.Anonymous {
		e.CustomerID, e.ContactKey = "", o.Key
	}
	return e
}

// event is one of all kinds, for services 1 to 4.
func (r random) event(o conversation.Owner) conversation.Event {
	service := conversation.ServiceID(1 + r.IntN(4))
	state := conversation.StateStart{Service: service, Type: r.value(), Previous: r.id(), Timestamp: r.instant(), Details: r.details()}
	task := conversation.TaskStart{Service: service, Type: r.value(), State: r.id(), Timestamp: r.instant(), Details: r.details()}
	part := int32(r.IntN(6))
	switch r.IntN(18) {
	case 12:
		return &conversation.ServiceDeletion{Service: service}
	case 13:
		return &conversation.ServiceExpiration{Service: service, TTL: int64(r.IntN(2)), ExpirationTime: 1 + r.instant()}
	case 14:
		return &conversation.StateTransition{Service: service, From: int64(part), To: r.value(), Timestamp: r.instant(), Started: r.details()}
	case 15, 16:
		e := &conversation.ExtensionChange{Service: service, Name: string('a' + byte(r.IntN(6))), JSON: []byte(`{"x":1}`), Merge: r.IntN(2) == 0}
		*[]*int32{&e.State, &e.Task, new(int32)}[r.IntN(3)] = part
		return e
	case 17:
		return &conversation.ServicePurge{Service: service, Limit: 1 + r.instant(), Phase: conversation.Phase(r.IntN(3)), Anonymous: r.IntN(2) == 0}
	case 0:
		start := r.serviceStart(o)
		return &start
	case 1:
		return &state
	case 2:
		return &task
	case 3:
		return &conversation.ServiceEnd{Service: service, TTL: int64(r.IntN(2)), ExpirationTime: r.instant(), Timestamp: r.instant(), Details: r.details()}
	case 4, 5:
		return &conversation.StateEnd{Service: service, ID: part, Timestamp: r.instant(), Details: r.details()}
	case 6, 7:
		return &conversation.TaskEnd{Service: service, ID: part, Timestamp: r.instant(), Details: r.details()}
	default:
		return &conversation.Composite{
			Service: r.serviceStart(o), State: state, Task: task,
			HasTask: r.IntN(2) == 0, Associate: r.IntN(2) == 0, CreateNew: r.IntN(8) == 0,
		}
	}
}

// Deciding changes nothing, applying what was decided changes the same everywhere: a customer
// that was live, one rebuilt from all records, and one rebuilt service by service from the
// fewest records are equal at every step of random histories.
func TestRandomHistories(t *testing.T) {
	r := newRandom(t)
	var created, found, refused, unknown, unchanged, gone, due int
	for range 150 {
		owner := conversation.Owner{Key: "alice", Anonymous: r.IntN(2) == 0}
		live, replayed := &conversation.Customer{Owner: owner}, &conversation.Customer{Owner: owner}
		stamp := conversation.Stamp{ServiceID: 1, Timers: conversation.Timers{
			AutoCompleteAfter: conversation.Instant(r.IntN(2) * 10), ExpireAfter: conversation.Instant(r.IntN(2) * 30),
		}, Bounds: conversation.Bounds{ActiveServices: 3, Parts: 6, Extensions: 3, ServiceBytes: 1 << 20}}
		for range 60 {
			stamp.Now += r.instant()
			for _, record := range conversation.DecideDue(live, stamp, nil) {
				due++
				live.Apply(&record)
				replayed.Apply(&record)
			}
			if at := live.Due(stamp.Timers); at != 0 && at <= stamp.Now {
				t.Fatalf("at %d something is due since %d, and has not happened", stamp.Now, at)
			}
			forgetGone(live)
			forgetGone(replayed)
			before := copyOf(live)
			records, outcome, err := conversation.Decide(live, r.event(owner), stamp, nil)
			if !reflect.DeepEqual(before, live) {
				t.Fatalf("deciding changed the customer\nfrom %+v\nto   %+v", before, live)
			}
			switch {
			case errors.Is(err, conversation.ErrNotFound):
				unknown++
			case errors.Is(err, conversation.ErrInvalid):
				refused++
			case err != nil:
				t.Fatal(err)
			case outcome.ServiceCreated:
				created++
			case outcome.StateCreated || outcome.TaskCreated:
				found++
			case len(records) == 0:
				unchanged++
			}
			if err != nil && len(records) > 0 {
				t.Fatalf("refused with %d records: %v", len(records), err)
			}
			for i := range records {
				if !live.Fits(&records[i]) {
					t.Fatalf("decided, but does not fit: %+v", records[i])
				}
				live.Apply(&records[i])
				if records[i].Kind == conversation.ServiceDeleted {
					gone++
				}
				replayed.Apply(&records[i])
			}
			if outcome.ServiceCreated {
				stamp.ServiceID++
			}
			if !reflect.DeepEqual(replayed, live) {
				t.Fatalf("the same records made\n%+v\n%+v", live, replayed)
			}
			for _, s := range live.Services() {
				checkRebuild(t, owner, s)
			}
		}
	}
	t.Logf("created %d, found %d, refused %d, unknown %d, unchanged %d, gone %d, due %d", created, found, refused, unknown, unchanged, gone, due)
	if gone == 0 || due == 0 || created == 0 || found == 0 || refused == 0 || unknown == 0 || unchanged == 0 {
		t.Error("some kind of outcome never occurred")
	}
}

// forgetGone does as if the rows of those gone had been deleted.
func forgetGone(c *conversation.Customer) {
	for _, g := range c.AllGone() {
		g.HandedOver = true
	}
	c.Settle()
}

// checkRebuild makes the service again from its fewest records.
func checkRebuild(t *testing.T, o conversation.Owner, s *conversation.Service) []conversation.Record {
	t.Helper()
	records := s.Records(nil)
	c := conversation.Customer{Owner: o}
	for i := range records {
		if !c.Fits(&records[i]) {
			t.Fatalf("record %d of %d of a row does not fit: %+v", i, len(records), records[i])
		}
		c.Apply(&records[i])
	}
	want, got := copyOfService(s), copyOfService(c.Service(s.ID))
	want.Changed, want.Written, got.Changed = false, false, false
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("service\n%+v\nis made again as\n%+v", want, got)
	}
	return records
}

// copyOf shares nothing with c. Its count of active services is made anew, so that comparing
// the two checks that count too.
func copyOf(c *conversation.Customer) *conversation.Customer {
	to := &conversation.Customer{Owner: c.Owner}
	for _, s := range c.Services() {
		to.Add(copyOfService(s))
	}
	return to
}

func copyOfService(s *conversation.Service) *conversation.Service {
	t := *s
	t.Details, t.Completed = slices.Clone(s.Details), copyOfEnd(s.Completed)
	t.States, t.Tasks = slices.Clone(s.States), slices.Clone(s.Tasks)
	for i := range t.States {
		t.States[i].Details, t.States[i].Completed = slices.Clone(s.States[i].Details), copyOfEnd(s.States[i].Completed)
	}
	for i := range t.Tasks {
		t.Tasks[i].Details, t.Tasks[i].Completed = slices.Clone(s.Tasks[i].Details), copyOfEnd(s.Tasks[i].Completed)
	}
	return &t
}

func copyOfEnd(e *conversation.End) *conversation.End {
	if e == nil {
		return nil
	}
	return &conversation.End{At: e.At, Details: slices.Clone(e.Details)}
}
