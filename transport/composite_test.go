package transport

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine"
)

// testBounds are the contract's.
var testBounds = engine.Bounds{Items: 1_000, KeyBytes: 256, ActiveServices: 10_000, Parts: 10_000, Extensions: 64, NameBytes: 128, Depth: 64}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseComposite(body []byte, bounds engine.Bounds) (*request, error) {
	r := newRequest()
	return r, r.parseComposite(body, bounds)
}

// members are an event's details as JSON, by name.
func members(d engine.Details) map[string]string {
	m := map[string]string{}
	for member := range d.Members() {
		if member.IsExtension() {
			m[string(member.Name)] = string(member.JSON)
		} else {
			m[member.Field.String()] = string(member.JSON)
		}
	}
	return m
}

func compacted(t testing.TB, text string) string {
	t.Helper()
	v := jsontext.Value(text)
	if err := v.Compact(); err != nil {
		t.Fatal(err)
	}
	return string(v)
}

// The page's example, to the letter, becomes one item with every field and extension in its
// place, and nothing of it points into the body.
func TestParsesThePagesExample(t *testing.T) {
	body := readFile(t, "composite_request.json")
	r, err := parseComposite(body, testBounds)
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = '#'
	}
	if len(r.items) != 1 {
		t.Fatalf("%d items, want 1", len(r.items))
	}
	item := r.items[0]
	if item.Service.CustomerID != "customer-1" || item.Service.ContactKey != "" || item.Service.Type.Text() != "MyService1" ||
		item.State.Type.Text() != "MyState1" || item.Task.Type.Text() != "MyTask1" ||
		!item.HasTask || !item.Associate || item.CreateNew {
		t.Errorf("parsed %+v", item)
	}
	common := map[string]string{
		"interaction_id": `"123ABCAADFJ1259ACF"`, "application_type": `"App_type_1"`, "application_id": "40",
		"est_duration": "60", "media_type": `"voice"`, "resource_id": "1183", "resource_type": `"ResType1"`,
	}
	feedback := `{"FeedbackType":"survey","rating":7,"notes":"warm welcome at frontdesk, thanks for the nice trip"}`
	satisfaction := `[{"rating":2,"pertinence":8,"usefull":true,"place":"Terranova mexico resort"},` +
		`{"rating":8,"pertinence":4,"usefull":false,"place":"Fancy resort Paris"}]`
	for _, event := range []struct {
		name    string
		details engine.Details
		want    map[string]string
	}{
		{"service", item.Service.Details, map[string]string{"RelatedOffersService": `[{"offer_name":"VIP credit card black ed.","type":9,"comments":"proposed to all client"},` +
			`{"offer_name":"3 times payment GOLD","type":4,"comments":"limited offer"},` +
			`{"offer_name":"life insurance","type":3,"comments":"healt check to be done before approval"}]`}},
		{"state", item.State.Details, map[string]string{"FeedbackState": feedback, "SatisfactionState": satisfaction}},
		{"task", item.Task.Details, map[string]string{"FeedbackTask": feedback, "SatisfactionTask": satisfaction}},
	} {
		for name, value := range common {
			event.want[name] = value
		}
		if err := event.details.Check(); err != nil {
			t.Errorf("%s: %v", event.name, err)
		}
		if got := members(event.details); !reflect.DeepEqual(got, event.want) {
			t.Errorf("%s: details\n%v\nwant\n%v", event.name, got, event.want)
		}
	}
}

// What was found and created is answered byte for byte as the page prints it: ids as numbers,
// created as strings.
func TestCompositeReplyIsThePages(t *testing.T) {
	got := appendOutcomes(nil, []engine.Outcome{{Service: 111222, State: 333444, Task: 555666, StateCreated: true, TaskCreated: true}})
	if want := readFile(t, "composite_reply.json"); string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = appendOutcomes(nil, []engine.Outcome{{Service: 1, State: 2, ServiceCreated: true}, {Service: 3, State: 4}})
	want := `{"services":[{"service":{"service_id":1,"created":"true"},"state":{"state_id":2,"created":"false"}},` +
		`{"service":{"service_id":3,"created":"false"},"state":{"state_id":4,"created":"false"}}]}`
	if string(got) != want {
		t.Errorf("without a task: got %s", got)
	}
}

// item makes a body of one item, with more members beside its service and state.
func item(more string) string {
	return `{"services":[{"service":{"customer_id":"c","service_type":"s"},"state":{}` + more + `}]}`
}

// A flag is a boolean or its word in any case; create_new_services counts on the item and
// beside the items, before or behind them, and either true wins.
func TestFlags(t *testing.T) {
	for _, c := range []struct {
		body                 string
		associate, createNew bool
	}{
		{item(``), false, false},
		{item(`,"associate_state_task":true`), true, false},
		{item(`,"associate_state_task":"true"`), true, false},
		{item(`,"associate_state_task":"TRUE"`), true, false},
		{item(`,"associate_state_task":"\u0074rue"`), true, false},
		{item(`,"associate_state_task":false`), false, false},
		{item(`,"associate_state_task":"False"`), false, false},
		{item(`,"associate_state_task":null`), false, false},
		{item(`,"create_new_services":"true"`), false, true},
		{item(`,"create_new_services":true,"associate_state_task":"tRuE"`), true, true},
		{strings.Replace(item(``), `{"services"`, `{"create_new_services":true,"services"`, 1), false, true},
		{strings.Replace(item(`,"create_new_services":false`), `]}`, `],"create_new_services":"True"}`, 1), false, true},
		{strings.Replace(item(`,"create_new_services":true`), `]}`, `],"create_new_services":false}`, 1), false, true},
	} {
		r, err := parseComposite([]byte(c.body), testBounds)
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if got := r.items[0]; got.Associate != c.associate || got.CreateNew != c.createNew {
			t.Errorf("%s: associate %v, create new %v", c.body, got.Associate, got.CreateNew)
		}
	}
}

// Null in a known field counts as absent, and so do an empty customer_id and contact_key;
// integers are taken for keys and types, and types remember that they were integers.
func TestAbsentAndIntegerValues(t *testing.T) {
	r, err := parseComposite([]byte(`{"services":[{"service":{"customer_id":42,"contact_key":"","service_type":7,"ttl":null,
		"session_id":null,"est_duration":null,"timestamp":null},"state":{"state_type":null,"previous_state_id":null},"task":null}]}`), testBounds)
	if err != nil {
		t.Fatal(err)
	}
	s := r.items[0].Service
	if s.CustomerID != "42" || s.ContactKey != "" || s.Type.Text() != "7" || !s.Type.IsInteger() || len(s.Details) != 0 || s.TTL != 0 || s.Timestamp != 0 {
		t.Errorf("service %+v", s)
	}
	if st := r.items[0].State; st.Type.Present() || st.Previous.Set || r.items[0].HasTask {
		t.Errorf("state %+v, task %v", st, r.items[0].HasTask)
	}
}

// Names that only replies use are never extensions; other members of an item and of the body
// are ignored; everything else in an event is an extension.
func TestWhatIsAnExtension(t *testing.T) {
	r, err := parseComposite([]byte(`{"other":[1],"services":[{"x":{"y":1},
		"service":{"customer_id":"c","service_type":"s","service_id":1,"started":{},"completed":1,"duration":2,"disposition":3,"disposition_desc":4,
			"active_states":[],"completed_states":[],"active_tasks":[],"completed_tasks":[],"state_id":5,"task_id":6,"state_type":"kept"},
		"state":{"state_id":1,"active_states":[],"service_id":2,"started":3,"completed":4,"duration":5,"active_tasks":6,"completed_tasks":7,"disposition":8,"customer_id":"kept"},
		"task":{"task_id":1,"service_id":2,"customer_id":3,"started":4,"completed":5,"duration":6,"disposition_desc":7,"ttl":"kept"}}]}`), testBounds)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []struct {
		details engine.Details
		want    map[string]string
	}{
		{r.items[0].Service.Details, map[string]string{"state_type": `"kept"`}},
		{r.items[0].State.Details, map[string]string{"customer_id": `"kept"`}},
		{r.items[0].Task.Details, map[string]string{"ttl": `"kept"`}},
	} {
		if got := members(event.details); !reflect.DeepEqual(got, event.want) {
			t.Errorf("got %v, want %v", got, event.want)
		}
	}
}

// Types that no rule looks at have the bound of those that are matched.
func TestTypesAreBounded(t *testing.T) {
	for _, field := range []string{"application_type", "resource_type", "media_type"} {
		for length, ok := range map[int]bool{256: true, 257: false} {
			body := fmt.Sprintf(`{"services":[{"service":{"customer_id":"c","service_type":1,%q:%q},"state":{}}]}`, field, strings.Repeat("x", length))
			_, err := parseComposite([]byte(body), testBounds)
			if (err == nil) != ok || err != nil && !strings.HasPrefix(err.Error(), "services[0].service."+field+": 257 bytes, the bound is 256: ") {
				t.Errorf("%s of %d bytes: %v", field, length, err)
			}
		}
	}
}

// A request that is used again gives every request its own items, however large the last was,
// and the events of one request never share bytes, however often their memory had to grow.
func TestReusedRequest(t *testing.T) {
	r := newRequest()
	for n := range 200 {
		var b strings.Builder
		b.WriteString(`{"services":[`)
		for i := range n%70 + 1 {
			if i > 0 {
				b.WriteByte(',')
			}
			ext := `"` + strings.Repeat(string(rune('a'+i%26)), 1+i*n%500) + `"`
			b.WriteString(`{"service":{"customer_id":"c","service_type":"s","e":` + ext + `},"state":{"e":[ ` + ext + ` ]}}`)
		}
		b.WriteString(`]}`)
		if err := r.parseComposite([]byte(b.String()), testBounds); err != nil {
			t.Fatal(err)
		}
		if len(r.items) != n%70+1 {
			t.Fatalf("%d items, want %d", len(r.items), n%70+1)
		}
		for i := range r.items {
			ext := `"` + strings.Repeat(string(rune('a'+i%26)), 1+i*n%500) + `"`
			if got := members(r.items[i].Service.Details)["e"]; got != ext {
				t.Fatalf("item %d: %s, want %s", i, got, ext)
			}
			if got := members(r.items[i].State.Details)["e"]; got != "["+ext+"]" {
				t.Fatalf("item %d: %s, want [%s]", i, got, ext)
			}
		}
		r.forget()
	}
}

func BenchmarkParseComposite(b *testing.B) {
	r, body := newRequest(), readFile(b, "composite_request.json")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := r.parseComposite(body, testBounds); err != nil {
			b.Fatal(err)
		}
		r.forget()
	}
}

// The body parser never panics; what it accepts encoding/json accepts too; and taking the
// white space out changes no value.
func FuzzParseComposite(f *testing.F) {
	f.Add(readFile(f, "composite_request.json"))
	f.Add([]byte(item(`,"task":{"n":[1.10,1e400,9007199254740993],"s":"\"\\\u00e9\ud83d\ude00"},"create_new_services":"true"`)))
	f.Add([]byte(`{"services":[{"service":{"customer_id":1,"service_type":null,"x" : { } , "y":[ [ ] ]},"state":null}]} `))
	f.Add([]byte(`{"services":[[[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseComposite(body, testBounds)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatal("accepted what is not JSON")
		}
		var sent struct {
			Services []map[string]json.RawMessage
		}
		if json.Unmarshal(body, &sent) != nil || len(sent.Services) != len(r.items) {
			return // encoding/json folds the case of names
		}
		for i := range r.items {
			checkEvent(t, r.items[i].Service.Details, sent.Services[i]["service"])
			checkEvent(t, r.items[i].State.Details, sent.Services[i]["state"])
			checkEvent(t, r.items[i].Task.Details, sent.Services[i]["task"])
		}
	})
}

func checkEvent(t *testing.T, d engine.Details, sent json.RawMessage) {
	t.Helper()
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	var event map[string]json.RawMessage
	if len(sent) > 0 {
		if err := json.Unmarshal(sent, &event); err != nil {
			t.Fatal(err)
		}
	}
	for name, got := range members(d) {
		if want := compacted(t, string(event[name])); got != want {
			t.Fatalf("%q: %s, sent %s", name, got, want)
		}
	}
}

// Once a request is parsed nothing of it holds its text, and a long text does not make room for
// itself a second time.
func TestParsedRequestLetsGoOfItsText(t *testing.T) {
	r, err := parseComposite([]byte(item("")+strings.Repeat(" ", 1<<20)), testBounds)
	if err != nil {
		t.Fatal(err)
	}
	r.letGo()
	if r.text != nil || r.source.Cap() != 0 || len(r.decoder.UnreadBuffer()) != 0 || cap(r.details) > 2*keptText {
		t.Errorf("text %d, source %d, details %d bytes", cap(r.text), r.source.Cap(), cap(r.details))
	}
	if len(r.items) != 1 || r.items[0].Service.CustomerID != "c" {
		t.Errorf("items %+v", r.items)
	}
}
