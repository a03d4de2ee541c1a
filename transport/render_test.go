package transport

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

func instant(t testing.TB, text string) engine.Instant {
	t.Helper()
	at, ok := parseTimestamp([]byte(text))
	if !ok {
		t.Fatalf("timestamp %q", text)
	}
	return at
}

// details packs the members of an event as a request would.
func details(t testing.TB, text string, end bool) engine.Details {
	t.Helper()
	r := newRequest()
	var d engine.Details
	err := r.parseEvent([]byte(text), testBounds, mandatory, func(r *request) error {
		if end {
			var e engine.ServiceEnd
			err := r.serviceEnd(&e)
			d = e.Details
			return err
		}
		var e engine.ServiceStart
		err := r.serviceStart(&e)
		d = e.Details
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rendered is a service with every field, active and completed parts, and parts that do not
// stand in the order in which they started.
func rendered(t testing.TB) *engine.Service {
	end := func(at, text string) *conversation.End {
		return &conversation.End{At: instant(t, at), Details: details(t, text, true)}
	}
	start := func(text string) engine.Details { return details(t, text, false) }
	return &engine.Service{
		ID: 9007199254740991, Type: engine.String("Renew \"card\""), CustomerID: "c/1", ContactKey: "é",
		Started:   instant(t, "2016-05-18T15:23:34.447Z"),
		Completed: end("2016-05-18T15:24:34.448Z", `{"disposition":5,"disposition_desc":"SUCCESS","resource_id":7,"est_duration":1}`),
		Details:   start(`{"session_id":"s","est_duration":60,"application_id":40,"media_type":7,"Offers":[ 1.10, 1e400 ],"State":{"x":9007199254740993}}`),
		States: []engine.State{
			{ID: 1, Type: engine.Integer(5), Started: instant(t, "2016-05-18T15:23:40Z"), Details: start(`{"Note":"a","Other":1}`)},
			{ID: 2, Previous: 1, Started: instant(t, "2016-05-18T15:23:36Z"), Completed: end("2016-05-18T15:23:35Z", `{"interaction_id":"i"}`)},
			{ID: 3, Type: engine.String("B"), Started: instant(t, "2016-05-18T15:23:38Z")},
		},
		Tasks: []engine.Task{
			{ID: 4, State: 1, Type: engine.String("T"), Started: instant(t, "2016-05-18T15:23:41Z"), Details: start(`{"Note":"t"}`)},
			{ID: 5, Type: engine.String("U"), Started: instant(t, "2016-05-18T15:23:42Z"), Completed: end("2016-05-18T15:23:43Z", `{}`)},
		},
	}
}

func mustQuery(t testing.TB, text string) *query {
	t.Helper()
	q, err := parseQuery([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

const (
	renderedHead = `{"service_id":9007199254740991,"service_type":"Renew \"card\"","customer_id":"c/1","contact_key":"é","est_duration":60,` +
		`"started":{"timestamp":"2016-05-18T15:23:34.447Z","session_id":"s","application_id":40,"media_type":7},` +
		`"completed":{"timestamp":"2016-05-18T15:24:34.448Z","resource_id":7},"disposition":5,"disposition_desc":"SUCCESS","duration":60001`
	state1 = `{"state_id":1,"state_type":5,"started":{"timestamp":"2016-05-18T15:23:40.000Z"}`
	state2 = `{"state_id":2,"previous_state_id":1,"started":{"timestamp":"2016-05-18T15:23:36.000Z"},"completed":{"timestamp":"2016-05-18T15:23:35.000Z","interaction_id":"i"},"duration":0}`
	state3 = `{"state_id":3,"state_type":"B","started":{"timestamp":"2016-05-18T15:23:38.000Z"}}`
	task4  = `{"task_id":4,"task_type":"T","state_id":1,"started":{"timestamp":"2016-05-18T15:23:41.000Z"}`
	task5  = `{"task_id":5,"task_type":"U","started":{"timestamp":"2016-05-18T15:23:42.000Z"},"completed":{"timestamp":"2016-05-18T15:23:43.000Z"},"duration":1000}`
)

// A service as read holds what its events said, once each; nested arrays and extensions only
// where they are asked for, oldest first, numbers digit for digit.
func TestServiceAsRead(t *testing.T) {
	s := rendered(t)
	for query, want := range map[string]string{
		"":                                   `}`,
		"active_states=false&extensions=":    `}`,
		"unknown=%20&extensions=Missing":     `}`,
		"extensions=Offers":                  `,"Offers":[1.10,1e400]}`,
		"extensions=*":                       `,"Offers":[1.10,1e400],"State":{"x":9007199254740993}}`,
		"active_states=true":                 `,"active_states":[` + state3 + `,` + state1 + `}]}`,
		"active_states=TRUE&state_types=5":   `,"active_states":[` + state1 + `}]}`,
		"active_states=true&state_types=B,5": `,"active_states":[` + state3 + `,` + state1 + `}]}`,
		"active_states=true&state_types=B&state_types=5":         `,"active_states":[` + state3 + `,` + state1 + `}]}`,
		"completed_states=true&state_types=x":                    `,"completed_states":[]}`,
		"completed_states=true":                                  `,"completed_states":[` + state2 + `]}`,
		"active_tasks=true&completed_tasks=true":                 `,"active_tasks":[` + task4 + `}],"completed_tasks":[` + task5 + `]}`,
		"active_tasks=true&task_types=U":                         `,"active_tasks":[]}`,
		"active_states=true&state_types=5&extensions=State.Note": `,"active_states":[` + state1 + `,"Note":"a"}]}`,
		"active_states=true&state_types=5&extensions=State":      `,"active_states":[` + state1 + `,"Note":"a","Other":1}]}`,
		"active_states=true&state_types=5&extensions=State.*":    `,"active_states":[` + state1 + `,"Note":"a","Other":1}]}`,
		"active_tasks=true&extensions=Task.Note,Offers":          `,"active_tasks":[` + task4 + `,"Note":"t"}],"Offers":[1.10,1e400]}`,
		"active_tasks=true&extensions=*":                         `,"active_tasks":[` + task4 + `}],"Offers":[1.10,1e400],"State":{"x":9007199254740993}}`,
	} {
		got := string(mustQuery(t, query).appendService(nil, s))
		if got != renderedHead+want {
			t.Errorf("?%s\n got %s\nwant %s", query, got, renderedHead+want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("?%s: not JSON", query)
		}
	}
}

// States and tasks on their own say whose they are; a state nests its own tasks alone.
func TestStateAndTaskAsRead(t *testing.T) {
	s := rendered(t)
	q := mustQuery(t, "active_tasks=true&completed_tasks=true&extensions=Other,Task.Note")
	want := `{"state_id":1,"service_id":9007199254740991,` + state1[len(`{"state_id":1,`):] +
		`,"active_tasks":[` + task4 + `,"Note":"t"}],"completed_tasks":[],"Other":1}`
	if got := string(q.appendState(nil, s, &s.States[0])); got != want {
		t.Errorf("state\n got %s\nwant %s", got, want)
	}
	want = `{"task_id":4,"service_id":9007199254740991,"customer_id":"c/1",` + task4[len(`{"task_id":4,`):] + `,"Note":"t"}`
	if got := string(mustQuery(t, "extensions=Note").appendTask(nil, s, &s.Tasks[0])); got != want {
		t.Errorf("task\n got %s\nwant %s", got, want)
	}
}

// started_from lets pass what started at that instant, started_to what started strictly
// before it; a plus that a client forgot to encode is understood.
func TestStartedFromAndTo(t *testing.T) {
	for query, want := range map[string]bool{
		"started_from=2016-05-18T15:23:34.447Z":                             true,
		"started_from=2016-05-18T15:23:34.448Z":                             false,
		"started_to=2016-05-18T15:23:34.447Z":                               false,
		"started_to=2016-05-18T15:23:34.448Z":                               true,
		"started_from=2016-05-18T17:23:34.447%2B02:00":                      true,
		"started_from=2016-05-18T17:23:34.447+02:00":                        true,
		"started_from=2016%2D05-18T15%3A23%3A34.448Z":                       false,
		"started_from=2016-05-18T15:23:34Z&started_to=2016-05-18T15:23:35Z": true,
	} {
		if got := mustQuery(t, query).started(instant(t, "2016-05-18T15:23:34.447Z")); got != want {
			t.Errorf("?%s: %v", query, got)
		}
	}
}

// A parameter that cannot be understood is refused with its name and value.
func TestBadParameters(t *testing.T) {
	for query, want := range map[string]string{
		"active_states=yes":    `active_states: want true or false, got "yes"`,
		"completed_tasks=":     `completed_tasks: want true or false, got ""`,
		"active_tasks":         `active_tasks: want true or false, got ""`,
		"started_from=2016":    `started_from: want an RFC 3339 timestamp after the first instant of the year 1, got "2016"`,
		"x=1&started_to=a%20b": `started_to: want an RFC 3339 timestamp after the first instant of the year 1, got "a b"`,
		"state_id=x":           `state_id: want a 64-bit integer, got "x"`,
		"service_types=%zz":    `service_types: bad percent-encoding "%zz"`,
		"extensions=a,%4":      `extensions: bad percent-encoding "%4"`,
		"%=1":                  `%: bad percent-encoding "%"`,
		"%zz=1":                `%zz: bad percent-encoding "%zz"`,
		"active_states=" + strings.Repeat("x", 100): `active_states: want true or false, got "` + strings.Repeat("x", 64) + `…"`,
	} {
		_, err := parseQuery([]byte(query))
		if err == nil || err.Error() != want {
			t.Errorf("?%s\n got %v\nwant %s", query, err, want)
		}
	}
}

// An encoded comma belongs to a name; a plus is a space; values may be repeated.
func TestLists(t *testing.T) {
	q := mustQuery(t, "service_types=a%2Cb,c+d&service_types=%C3%A9,,")
	if got, want := slices.Sorted(maps.Keys(q.serviceTypes)), []string{"a,b", "c d", "é"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The states of a service nest each its own tasks, by phase; ten thousand of them are sorted out
// once, not once a state.
func TestTasksOfManyStates(t *testing.T) {
	s := &engine.Service{ID: 1}
	for i := int32(1); i <= 5000; i++ {
		s.States = append(s.States, engine.State{ID: i})
		s.Tasks = append(s.Tasks, engine.Task{ID: 5000 + i, State: i})
	}
	q := mustQuery(t, "active_tasks=true&completed_tasks=true")
	for i := range s.States {
		got := string(q.appendNestedTasks(nil, s, &s.States[i]))
		if want := fmt.Sprintf(`"task_id":%d,`, 5000+s.States[i].ID); strings.Count(got, `"task_id"`) != 1 || !strings.Contains(got, want) {
			t.Fatalf("state %d nests %s", s.States[i].ID, got)
		}
	}
}
