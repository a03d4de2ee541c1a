package transport

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-cs/switchboard/engine"
)

// in puts members into an otherwise complete item's service, state and task.
func in(service, state, task string) string {
	return `{"services":[{"service":{"customer_id":"c","service_type":"s"` + service + `},"state":{` + state + `},"task":{` + task + `}}]}`
}

// Every wrong member is refused with a message that says where it stands, what was wanted
// there, and which value came.
func TestRefusalsNameThePlaceAndTheValue(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct{ body, want string }{
		{``, `not valid JSON: the body is empty`},
		{`5`, `body: want an object, got 5`},
		{`null`, `body: want an object, got null`},
		{`[1, 2]`, `body: want an object, got [1,2]`},
		{`{}`, `services: mandatory, with at least one item, and there is none`},
		{`{"services":null}`, `services: mandatory, with at least one item, and there is none`},
		{`{"services":[]}`, `services: mandatory, with at least one item, and there is none`},
		{`{"services":{"service":1}}`, `services: want an array, got {"service":1}`},
		{`{"services":[7]}`, `services[0]: want an object, got 7`},
		{`{"services":[null]}`, `services[0]: want an object, got null`},
		{`{"services":[{}]}`, `services[0].service: mandatory, and missing`},
		{`{"services":[{"service":null}]}`, `services[0].service: mandatory, and missing`},
		{`{"services":[{"service":{}}]}`, `services[0].state: mandatory, and missing`},
		{`{"services":[{"service":[],"state":{}}]}`, `services[0].service: want an object, got []`},
		{`{"services":[{"service":{},"state":"s"}]}`, `services[0].state: want an object, got "s"`},
		{item(`,"task":false`), `services[0].task: want an object, got false`},
		{item(`,"associate_state_task":"yes"`), `services[0].associate_state_task: want true, false, "true" or "false", got "yes"`},
		{item(`,"associate_state_task":1`), `services[0].associate_state_task: want true, false, "true" or "false", got 1`},
		{item(`,"create_new_services":""`), `services[0].create_new_services: want true, false, "true" or "false", got ""`},
		{`{"create_new_services":{}}`, `create_new_services: want true, false, "true" or "false", got {}`},
		{in(`,"contact_key":true`, ``, ``), `services[0].service.contact_key: want a string or a 64-bit integer, got true`},
		{in(`,"contact_key":1.5`, ``, ``), `services[0].service.contact_key: want a string or a 64-bit integer, got 1.5`},
		{`{"services":[{"service":{"customer_id":["c"]}}]}`, `services[0].service.customer_id: want a string or a 64-bit integer, got ["c"]`},
		{`{"services":[{"service":{"service_type":1e3}}]}`, `services[0].service.service_type: want a string or a 64-bit integer, got 1e3`},
		{in(``, `"state_type":{"a":1}`, ``), `services[0].state.state_type: want a string or a 64-bit integer, got {"a":1}`},
		{in(``, ``, `"task_type":9223372036854775808`), `services[0].task.task_type: want a string or a 64-bit integer, got 9223372036854775808`},
		{in(`,"ttl":0`, ``, ``), `services[0].service.ttl: want an integer of at least 1, got 0`},
		{in(`,"ttl":"60"`, ``, ``), `services[0].service.ttl: want an integer of at least 1, got "60"`},
		{in(`,"auto_complete_after":-1`, ``, ``), `services[0].service.auto_complete_after: want an integer of at least 1, got -1`},
		{in(`,"auto_complete_after":1.0`, ``, ``), `services[0].service.auto_complete_after: want an integer of at least 1, got 1.0`},
		{in(`,"timestamp":"yesterday"`, ``, ``), `services[0].service.timestamp: want an RFC 3339 timestamp after the first instant of the year 1, got "yesterday"`},
		{in(`,"expiration_time":1463585014447`, ``, ``), `services[0].service.expiration_time: want an RFC 3339 timestamp after the first instant of the year 1, got 1463585014447`},
		{in(``, `"previous_state_id":"1"`, ``), `services[0].state.previous_state_id: want a 64-bit integer, got "1"`},
		{in(``, ``, `"state_id":1e0`), `services[0].task.state_id: want a 64-bit integer, got 1e0`},
		{in(`,"session_id":1`, ``, ``), `services[0].service.session_id: want a string, got 1`},
		{in(``, `"interaction_id":["a"]`, ``), `services[0].state.interaction_id: want a string, got ["a"]`},
		{in(``, ``, `"application_type":null,"media_type":false`), `services[0].task.media_type: want a string or a 64-bit integer, got false`},
		{in(`,"application_id":"40"`, ``, ``), `services[0].service.application_id: want a 64-bit integer, got "40"`},
		{in(`,"resource_id":-9223372036854775809`, ``, ``), `services[0].service.resource_id: want a 64-bit integer, got -9223372036854775809`},
		{in(`,"est_duration":60.5`, ``, ``), `services[0].service.est_duration: want a 64-bit integer, got 60.5`},
		{in(`,"est_duration":"`+long+`"`, ``, ``), `services[0].service.est_duration: want a 64-bit integer, got "` + long[:63] + `…`},
		{in(`,"`+long+long+`":1`, ``, ``), `services[0].service.` + long[:64] + `…: an extension's name of 200 bytes; the bound is 128`},
		{`{"services":[` + strings.Repeat(`{"service":{},"state":{}},`, 3) + `{"service":{},"state":{"state_type":true}}]}`,
			`services[3].state.state_type: want a string or a 64-bit integer, got true`},
	} {
		_, err := parseComposite([]byte(c.body), testBounds)
		if err == nil || err.Error() != c.want || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%.200s\n got %v\nwant %s", c.body, err, c.want)
		}
	}
}

// What is not strict JSON is refused with its place and the byte at which it was seen.
func TestJSONIsStrict(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"services":[`, `services: not valid JSON at byte 13: it ends early`},
		{in(`,"customer_id":"again"`, ``, ``), `services[0].service.customer_id: not valid JSON at byte 62: duplicate object member name`},
		{in(`,"\u0063ustomer_id":"again"`, ``, ``), `services[0].service.customer_id: not valid JSON at byte 62: duplicate object member name`},
		{in(`,"x":{"a":[0,{"b":1,"b":2}]}`, ``, ``), `services[0].service.x.a[1].b: not valid JSON`},
		{item(`,"x":{"a":1,"a":2}`), `services[0].x.a: not valid JSON`},
		{`{"a":1,"a":2}`, `a: not valid JSON at byte 7: duplicate object member name`},
		{in(``, `"state_type":"\ud800"`, ``), `services[0].state.state_type: not valid JSON`},
		{in(``, `"x":"\udc00\ud800"`, ``), `services[0].state.x: not valid JSON`},
		{in(``, `"\ud800":1`, ``), `services[0].state: not valid JSON`},
		{in(``, ``, "\"x\":\"\xff\""), `services[0].task.x: not valid JSON`},
		{in(``, ``, "\"x\":\"\xed\xa0\x80\""), `services[0].task.x: not valid JSON`},
		{in(``, ``, "\"x\":\"a\nb\""), `services[0].task.x: not valid JSON`},
		{in(``, ``, `"x":01`), `services[0].task: not valid JSON`},
		{in(``, ``, `"x":NaN`), `services[0].task.x: not valid JSON`},
		{in(``, ``, `"x":[1,]`), `services[0].task.x[1]: not valid JSON at byte 89`},
		{in(``, ``, `"x":1,`), `services[0].task: not valid JSON`},
		{in(``, ``, `x:1`), `services[0].task: not valid JSON`},
		{"\ufeff" + item(``), `not valid JSON at byte 0`},
		{item(``) + `{}`, `not valid JSON: something follows the value, after byte 76: {}`},
		{item(``) + ` ] `, `not valid JSON: something follows the value, after byte 76: ] `},
	} {
		_, err := parseComposite([]byte(c.body), testBounds)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s\n got %v\nwant %s", c.body, err, c.want)
		}
	}
	if _, err := parseComposite([]byte(item(``)+" \r\n\t"), testBounds); err != nil {
		t.Errorf("white space behind the value: %v", err)
	}
}

// A body may nest to the bound and no deeper, wherever it nests; a hundred thousand brackets
// are refused with the bound's number, in no time.
func TestNestingIsBounded(t *testing.T) {
	nested := func(levels int) string {
		return strings.Repeat("[", levels) + strings.Repeat("]", levels)
	}
	for _, c := range []struct {
		where string
		body  func(levels int) string
		above int // levels that stand around it
	}{
		{"an extension", func(n int) string { return in(`,"x":`+nested(n), ``, ``) }, 4},
		{"an object", func(n int) string { return in(`,"x":{"y":`+nested(n-1)+`}`, ``, ``) }, 4},
		{"a reply's name", func(n int) string { return in(``, `"started":`+nested(n), ``) }, 4},
		{"an ignored member of an item", func(n int) string { return item(`,"x":` + nested(n)) }, 3},
		{"an ignored member of the body", func(n int) string { return `{"x":` + nested(n) + `,` + item(``)[1:] }, 1},
	} {
		if _, err := parseComposite([]byte(c.body(64-c.above)), testBounds); err != nil {
			t.Errorf("%s, 64 levels: %v", c.where, err)
		}
		for _, levels := range []int{65, 66, 9_000, 100_000} {
			_, err := parseComposite([]byte(c.body(levels-c.above)), testBounds)
			if err == nil || !strings.Contains(err.Error(), "nested deeper than 64, which is the bound") {
				t.Errorf("%s, %d levels: %.200v", c.where, levels, err)
			}
		}
	}
	for _, opening := range []string{"[", `{"a":`, `{"services":[{"service":{"x":` + "["} {
		began := time.Now()
		_, err := parseComposite([]byte(strings.Repeat(opening, 100_000)), testBounds)
		if err == nil || !strings.Contains(err.Error(), "nested deeper than 64, which is the bound") || len(err.Error()) > 500 {
			t.Errorf("%s: %.600v", opening, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: refused after %v", opening, took)
		}
	}
}

// Items and extensions are bounded while they are read, so that a small body of many does not
// make a large request.
func TestCountsAreBounded(t *testing.T) {
	items := func(n int) []byte {
		return []byte(`{"services":[` + strings.Repeat(`{"service":{},"state":{}},`, n-1) + `{"service":{},"state":{}}]}`)
	}
	if r, err := parseComposite(items(1_000), testBounds); err != nil || len(r.items) != 1_000 {
		t.Errorf("1,000 items: %v", err)
	}
	r, err := parseComposite(items(40_000), testBounds)
	if err == nil || err.Error() != "services: more than 1000 items, which is the bound" || len(r.items) > 1_000 {
		t.Errorf("40,000 items: %v, %d kept", err, len(r.items))
	}
	extensions := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"x%d":%d`, i, i)
		}
		return []byte(in(b.String(), ``, ``))
	}
	if _, err := parseComposite(extensions(64), testBounds); err != nil {
		t.Errorf("64 extensions: %v", err)
	}
	want := "services[0].service.x64: one extension more than 64, which is the bound"
	if _, err := parseComposite(extensions(65), testBounds); err == nil || err.Error() != want {
		t.Errorf("65 extensions: %v", err)
	}
	name := strings.Repeat("é", 64)
	if _, err := parseComposite([]byte(in(`,"`+name+`":1`, ``, ``)), testBounds); err != nil {
		t.Errorf("a name of 128 bytes: %v", err)
	}
}

// The bounds of --strict count characters, and hold only with it.
func TestStrictBounds(t *testing.T) {
	strict := testBounds
	strict.Strict = true
	for _, c := range []struct {
		member     string
		characters int
	}{{"session_id", 32}, {"interaction_id", 50}} {
		fits := in(`,"`+c.member+`":"`+strings.Repeat("é", c.characters)+`"`, ``, ``)
		long := in(`,"`+c.member+`":"`+strings.Repeat("é", c.characters+1)+`"`, ``, ``)
		if _, err := parseComposite([]byte(fits), strict); err != nil {
			t.Errorf("%s that fits: %v", c.member, err)
		}
		if _, err := parseComposite([]byte(long), testBounds); err != nil {
			t.Errorf("%s, not strict: %v", c.member, err)
		}
		want := fmt.Sprintf("services[0].service.%s: longer than %d characters, which is the bound", c.member, c.characters)
		if _, err := parseComposite([]byte(long), strict); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s, strict: %v", c.member, err)
		}
	}
	r := newRequest()
	err := r.parseEvent([]byte(`{"disposition_desc":"`+strings.Repeat("x", 65)+`"}`), strict, optional, func(r *request) error {
		return r.taskEnd(&engine.TaskEnd{})
	})
	if err == nil || !strings.HasPrefix(err.Error(), "disposition_desc: longer than 64 characters") {
		t.Errorf("disposition_desc, strict: %v", err)
	}
}

// An end takes its own fields, ignores what belongs to the start or only to replies, and keeps
// the rest as extensions.
func TestEnds(t *testing.T) {
	r := newRequest()
	var e engine.ServiceEnd
	parse := func(text string) error {
		e = engine.ServiceEnd{}
		return r.parseEvent([]byte(text), testBounds, optional, func(r *request) error { return r.serviceEnd(&e) })
	}
	for _, nothing := range []string{``, " \n", `{}`} {
		if err := parse(nothing); err != nil || len(e.Details) != 0 {
			t.Errorf("%q: %v, %v", nothing, err, e)
		}
	}
	err := parse(`{"disposition":5,"disposition_desc":"done","ttl":60,"timestamp":"2016-05-18T15:23:34.447Z","est_duration":"ignored",
		"customer_id":[],"service_type":{},"auto_complete_after":"x","duration":1,"session_id":"s","Note":"kept"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(members(e.Details)); got != `map[Note:"kept" disposition:5 disposition_desc:"done" session_id:"s"]` || e.TTL != 60 || e.Timestamp == 0 {
		t.Errorf("%s, %+v", got, e)
	}
	if err := parse(`{"ttl":0}`); err == nil || err.Error() != "ttl: want an integer of at least 1, got 0" {
		t.Errorf("ttl 0: %v", err)
	}
	if err := parse(`[]`); err == nil || err.Error() != "body: want an object, got []" {
		t.Errorf("an array: %v", err)
	}
}

// Timestamps are RFC 3339 with Z or an offset and at most nine digits, cut to milliseconds;
// what merely looks like one is refused.
func TestTimestamps(t *testing.T) {
	for text, want := range map[string]string{
		"2016-05-18T15:23:34.447Z":          "2016-05-18T15:23:34.447Z",
		"2016-05-18T15:23:34Z":              "2016-05-18T15:23:34.000Z",
		"2016-05-18T15:23:34.4479999Z":      "2016-05-18T15:23:34.447Z",
		"2016-05-18T15:23:34.999999999Z":    "2016-05-18T15:23:34.999Z",
		"2016-05-18t15:23:34.1z":            "2016-05-18T15:23:34.100Z",
		"2016-05-18T15:23:34.447+02:00":     "2016-05-18T13:23:34.447Z",
		"2016-05-18T23:23:34.447-05:30":     "2016-05-19T04:53:34.447Z",
		"2016-02-29T00:00:00-00:00":         "2016-02-29T00:00:00.000Z",
		"1969-12-31T23:59:59.9995Z":         "1969-12-31T23:59:59.999Z",
		"0001-01-01T00:00:00.001Z":          "0001-01-01T00:00:00.001Z",
		"9999-12-31T23:59:59.999Z":          "9999-12-31T23:59:59.999Z",
		"2016-05-18T15:23:34.4470000000Z":   "",
		"2016-05-18T15:23:34,447Z":          "",
		"2016-05-18T15:23:34.Z":             "",
		"2016-05-18T15:23:34":               "",
		"2016-05-18 15:23:34Z":              "",
		"2016-05-18T15:23Z":                 "",
		"2016-05-18T5:23:34Z":               "",
		"2016-05-18":                        "",
		"2016-02-30T00:00:00Z":              "",
		"2015-02-29T00:00:00Z":              "",
		"2016-13-01T00:00:00Z":              "",
		"2016-00-10T00:00:00Z":              "",
		"2016-05-18T24:00:00Z":              "",
		"2016-05-18T23:60:00Z":              "",
		"2016-05-18T23:59:60Z":              "",
		"2016-05-18T15:23:34+2:00":          "",
		"2016-05-18T15:23:34+0200":          "",
		"2016-05-18T15:23:34+24:00":         "",
		"2016-05-18T15:23:34+02:60":         "",
		"2016-05-18T15:23:34ZZ":             "",
		"-016-05-18T15:23:34Z":              "",
		"0000-05-18T15:23:34Z":              "",
		"0001-01-01T00:00:00Z":              "",
		"9999-12-31T23:59:59-01:00":         "",
		"２０１６-05-18T15:23:34Z":              "",
		"2016-05-18T15:23:34.447Z and more": "",
		"":                                  "",
		"2016-05-18T15:23:34.447\u0000Z":    "",
		"2016-05-18T15:23:34.447 Z":         "",
		"12016-05-18T15:23:34.447Z":         "",
	} {
		at, ok := parseTimestamp([]byte(text))
		got := ""
		if ok {
			got = string(appendTimestamp(nil, at))
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
