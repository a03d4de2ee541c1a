package transport

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/switchboard-cs/switchboard/engine"
)

func parseTransition(text string) (engine.StateTransition, error) {
	var t engine.StateTransition
	r := newRequest()
	return t, r.parseEvent([]byte(text), testBounds, mandatory, func(r *request) error { return r.transition(&t) })
}

// A transition tells both ends what they have in common, the old state its disposition, and the
// new one its extensions; what else stands in from and to is ignored.
func TestTransition(t *testing.T) {
	var got engine.StateTransition
	r := newRequest()
	err := r.parseEvent([]byte(`{"Note":[ 1 ],"interaction_id":"i","timestamp":"2016-05-18T15:23:34.447Z","resource_id":7,
		"from":{"disposition":"OK","state_id":3,"disposition_desc":"done","x":{"y":1},"state_type":5},
		"to":{"est_duration":60,"state_type":"Pay","state_id":"ignored","Note":2},
		"est_duration":30,"media_type":5,"state_type":[],"previous_state_id":"x","disposition":1,"state_id":9,"started":{}}`),
		testBounds, mandatory, func(r *request) error { return r.transition(&got) })
	if err != nil {
		t.Fatal(err)
	}
	if got.From != 3 || got.To.Text() != "Pay" || got.Timestamp != instant(t, "2016-05-18T15:23:34.447Z") {
		t.Errorf("%+v", got)
	}
	if ended := fmt.Sprint(members(got.Ended)); ended != `map[disposition:"OK" disposition_desc:"done" interaction_id:"i" media_type:5 resource_id:7]` {
		t.Errorf("ended %s", ended)
	}
	if started := fmt.Sprint(members(got.Started)); started != `map[Note:[1] est_duration:60 interaction_id:"i" media_type:5 resource_id:7]` {
		t.Errorf("started %s", started)
	}
	for text, want := range map[string]string{
		`{"from":{"state_id":1},"to":{},"est_duration":30}`:                         `map[est_duration:30]`,
		`{"from":{"state_id":1},"to":{"est_duration":null},"est_duration":30}`:      `map[est_duration:30]`,
		`{"est_duration":30,"to":{"est_duration":-1},"from":{"state_id":-1},"y":1}`: `map[est_duration:-1 y:1]`,
	} {
		got, err := parseTransition(text)
		if err != nil || fmt.Sprint(members(got.Started)) != want || len(got.Ended) != 0 || got.To.Present() {
			t.Errorf("%s: %v, started %v, ended %v", text, err, members(got.Started), members(got.Ended))
		}
	}
}

// What is wrong in a transition is refused with its place, in from and to as beside them.
func TestTransitionRefusals(t *testing.T) {
	for text, want := range map[string]string{
		``:                                      `not valid JSON: the body is empty`,
		`[]`:                                    `body: want an object, got []`,
		`{}`:                                    `from: mandatory, and missing`,
		`{"from":null,"to":{}}`:                 `from: mandatory, and missing`,
		`{"from":3}`:                            `from: want an object, got 3`,
		`{"from":{},"to":{}}`:                   `from.state_id: mandatory, and missing`,
		`{"from":{"state_id":null},"to":{}}`:    `from.state_id: mandatory, and missing`,
		`{"from":{"state_id":"3"}}`:             `from.state_id: want a 64-bit integer, got "3"`,
		`{"from":{"state_id":1.0}}`:             `from.state_id: want a 64-bit integer, got 1.0`,
		`{"from":{"state_id":3}}`:               `to: mandatory, and missing`,
		`{"from":{"state_id":3},"to":null}`:     `to: mandatory, and missing`,
		`{"to":"Pay"}`:                          `to: want an object, got "Pay"`,
		`{"to":{"state_type":true}}`:            `to.state_type: want a string or a 64-bit integer, got true`,
		`{"to":{"est_duration":"1"}}`:           `to.est_duration: want a 64-bit integer, got "1"`,
		`{"from":{"disposition":[]}}`:           `from.disposition: want a string or a 64-bit integer, got []`,
		`{"from":{"disposition_desc":1}}`:       `from.disposition_desc: want a string, got 1`,
		`{"from":{"state_id":1},"timestamp":1}`: `timestamp: want an RFC 3339 timestamp after the first instant of the year 1, got 1`,
		`{"est_duration":false}`:                `est_duration: want a 64-bit integer, got false`,
		`{"from":{"x":1,"x":2}}`:                `from.x: not valid JSON at byte 15: duplicate object member name`,
	} {
		if _, err := parseTransition(text); err == nil || err.Error() != want || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// A body that associates is a service start of which nothing is mandatory; its customer can
// only be the path's.
func TestAssociation(t *testing.T) {
	parse := func(customer, text string) (engine.ServiceAssociation, error) {
		a := engine.ServiceAssociation{CustomerID: customer}
		err := newRequest().parseEvent([]byte(text), testBounds, optional, func(r *request) error { return r.association(&a) })
		return a, err
	}
	for _, text := range []string{``, `{}`, `{"customer_id":42}`, `{"customer_id":"42"}`, `{"customer_id":null}`, `{"customer_id":""}`} {
		if a, err := parse("42", text); err != nil || a.CustomerID != "42" || len(a.Update.Details) > 0 {
			t.Errorf("%s: %v, %+v", text, err, a)
		}
	}
	a, err := parse("c", `{"service_type":5,"contact_key":7,"ttl":9,"session_id":"s","Note":{ }}`)
	if err != nil || a.Update.Type.Text() != "5" || a.Update.ContactKey != "7" || a.Update.TTL != 9 ||
		fmt.Sprint(members(a.Update.Details)) != `map[Note:{} session_id:"s"]` {
		t.Errorf("%v, %+v", err, a)
	}
	for text, want := range map[string]string{
		`{"customer_id":"d"}`: `customer_id: want "c", which the path names, got "d"`,
		`{"customer_id":42}`:  `customer_id: want "c", which the path names, got "42"`,
		`{"ttl":0}`:           `ttl: want an integer of at least 1, got 0`,
		`[]`:                  `body: want an object, got []`,
	} {
		if _, err := parse("c", text); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// An expiration says when, one way or the other.
func TestExpiration(t *testing.T) {
	parse := func(text string) (x engine.ServiceExpiration, err error) {
		err = newRequest().parseEvent([]byte(text), testBounds, mandatory, func(r *request) error { return r.expiration(&x) })
		return x, err
	}
	if x, err := parse(`{"ttl":60,"expiration_time":"2016-05-18T15:23:34.447Z","service_type":[1],"x":{}}`); err != nil || x.TTL != 60 || x.ExpirationTime == 0 {
		t.Errorf("%v, %+v", err, x)
	}
	for text, want := range map[string]string{
		``:                        `not valid JSON: the body is empty`,
		`{}`:                      `ttl: mandatory where there is no expiration_time, and both are missing`,
		`{"ttl":null,"x":1}`:      `ttl: mandatory where there is no expiration_time, and both are missing`,
		`{"ttl":0}`:               `ttl: want an integer of at least 1, got 0`,
		`{"expiration_time":"x"}`: `expiration_time: want an RFC 3339 timestamp after the first instant of the year 1, got "x"`,
	} {
		if _, err := parse(text); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// The names that cannot be put as extensions are those that no start or end takes for one.
func TestNamesOfExtensions(t *testing.T) {
	names := strings.Fields(`session_id interaction_id application_type application_id resource_type resource_id media_type est_duration
		timestamp disposition disposition_desc customer_id contact_key service_type auto_complete_after ttl expiration_time
		state_type previous_state_id task_type state_id task_id service_id started completed duration
		active_states completed_states active_tasks completed_tasks from to Note State * é`)
	for _, of := range []resource{ofService, ofState, ofTask} {
		for _, name := range names {
			refused := of.checkName(name, testBounds) != nil
			if extension := isExtensionOf(t, of, name); refused == extension {
				t.Errorf("%s of a %s: an extension of its events %v, refused %v", name, of, extension, refused)
			}
		}
	}
	for name, want := range map[string]string{
		"started":                `path: an extension cannot be called started, which is a field of a state`,
		"\xff":                   `path: the extension's name "\xff" is not UTF-8`,
		strings.Repeat("x", 129): `path: an extension's name of 129 bytes, the bound is 128: ` + strings.Repeat("x", 64) + `…`,
	} {
		if err := ofState.checkName(name, testBounds); err == nil || err.Error() != want || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q\n got %v\nwant %s", name, err, want)
		}
	}
}

// isExtensionOf tells whether a start or an end of the resource keeps a member of that name.
func isExtensionOf(t *testing.T, of resource, name string) bool {
	t.Helper()
	var starts, ends engine.Details
	r := newRequest()
	err := r.parseEvent([]byte(`{`+quoteJSON(name)+`:null}`), testBounds, mandatory, func(r *request) (err error) {
		switch of {
		case ofService:
			var e engine.ServiceStart
			err, starts = r.serviceStart(&e), e.Details
		case ofState:
			var e engine.StateStart
			err, starts = r.stateStart(&e), e.Details
		default:
			var e engine.TaskStart
			err, starts = r.taskStart(&e), e.Details
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	starts = append(engine.Details(nil), starts...)
	err = r.parseEvent([]byte(`{`+quoteJSON(name)+`:null}`), testBounds, mandatory, func(r *request) (err error) {
		switch of {
		case ofService:
			var e engine.ServiceEnd
			err, ends = r.serviceEnd(&e), e.Details
		case ofState:
			var e engine.StateEnd
			err, ends = r.stateEnd(&e), e.Details
		default:
			var e engine.TaskEnd
			err, ends = r.taskEnd(&e), e.Details
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return starts.Extensions()+ends.Extensions() > 0
}

// The value of an extension that is put is any JSON value, kept without white space; nothing of
// it lies in the body.
func TestValuesOfExtensions(t *testing.T) {
	for text, want := range map[string]string{
		` { "a" : [ 1.10 , 9007199254740993 ] } `: `{"a":[1.10,9007199254740993]}`,
		`null`: `null`, ` 1e400 `: `1e400`, `"\u00e9 "`: `"\u00e9 "`, `true`: `true`, `[]`: `[]`,
	} {
		x := engine.ExtensionChange{Name: "Note"}
		body := []byte(text)
		if err := newRequest().extensionValue(body, testBounds, &x); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		clear(body)
		if string(x.JSON) != want {
			t.Errorf("%s: kept %s", text, x.JSON)
		}
	}
	for _, c := range []struct {
		merge      bool
		text, want string
	}{
		{false, ``, `not valid JSON: the body is empty`},
		{false, `{"a":1,"a":2}`, `a: not valid JSON at byte 7: duplicate object member name`},
		{false, `1 2`, `not valid JSON: something follows the value, after byte 1: 2`},
		{false, strings.Repeat("[", 65) + strings.Repeat("]", 65), `Note: nested deeper than 64, which is the bound`},
		{true, `[1]`, `body: want an object, got [1]`},
		{true, `null`, `body: want an object, got null`},
	} {
		x := engine.ExtensionChange{Name: "Note", Merge: c.merge}
		if err := newRequest().extensionValue([]byte(c.text), testBounds, &x); err == nil || err.Error() != c.want {
			t.Errorf("%.80s\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	deepest := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	if err := newRequest().extensionValue([]byte(deepest), testBounds, &engine.ExtensionChange{}); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}
