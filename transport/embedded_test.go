package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The stories of testdata/api told to the engine as a program embeds it: with encoding/json
// and what package engine exports, past everything that HTTP does. Status, ids and refusals
// must be the same; so must what is read, once it is rendered.
func TestScriptsThroughTheEngine(t *testing.T) {
	for _, path := range scripts(t, "testdata/api/*.txt") {
		t.Run(strings.TrimPrefix(path, "testdata/api/"), func(t *testing.T) {
			tell(t, path, (*script).throughTheEngine)
		})
	}
}

// throughTheEngine gives what the script expects where the answer means the same.
func (s *script) throughTheEngine(t *testing.T, d *datadriven.TestData, r sent) string {
	a := s.program(t, r).ask()
	if d.HasArg("sorted") {
		a.body = sorted(a.body)
	}
	got := a.shown()
	if d.Rewrite || meaning(got) == meaning(d.Expected) {
		return d.Expected
	}
	return got
}

// meaning is a reply without the order of members, which a program that makes maps does not
// keep.
func meaning(reply string) string {
	head, body := reply, ""
	if i := strings.IndexAny(reply, "{["); i >= 0 {
		head, body = reply[:i], reply[i:]
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber() // digit for digit
	var v any
	_ = decoder.Decode(&v)
	b, _ := json.Marshal(v)
	return head + string(b)
}

// program is an embedding program that does what one request says.
type program struct {
	engine     *engine.Engine
	server     *Server // for what the wire says of an error
	operation  string
	parameters [][]byte
	query      string
	body       []byte
}

func (s *script) program(t *testing.T, r sent) *program {
	t.Helper()
	o, parameters := s.site.operationOf(t, r)
	_, query, _ := strings.Cut(r.path, "?")
	p := &program{engine: s.site.engine, server: s.site.Server, operation: o.method + " " + strings.TrimPrefix(o.path, base),
		parameters: parameters, query: query, body: []byte(r.body)}
	for _, h := range r.headers {
		if tenant, found := strings.CutPrefix(h, "ContactCenterId: "); found {
			p.engine = p.engine.Tenant(tenant)
		}
	}
	return p
}

func (p *program) ask() answer {
	a, err := p.answer()
	if err == nil {
		return a
	}
	if p.operation == "DELETE /services/{id}" && errors.Is(err, engine.ErrNotFound) {
		err = refusal(errNotDeleted, "There are no service found for : %s", p.parameters[0])
	}
	status, exception, message := p.server.describe(err)
	return jsonAnswer(status, string(appendError(nil, message, exception)))
}

func jsonAnswer(status int, body string) answer {
	return answer{status, http.Header{"Content-Type": {contentTypeJSON}}, body}
}

func located(a answer, format string, args ...any) answer {
	a.header.Set("Location", base+fmt.Sprintf(format, args...))
	return a
}

func (p *program) answer() (answer, error) {
	ctx := context.Background()
	m := sentMembers{}
	if len(p.body) > 0 && p.body[0] == '{' {
		if err := json.Unmarshal(p.body, &m); err != nil {
			return answer{}, err
		}
	}
	switch method, path, _ := strings.Cut(p.operation, " "); {
	case strings.HasPrefix(path, "/maintenance/"):
		return p.maintain(ctx, m)
	case method == http.MethodGet:
		return p.read(ctx)
	case strings.Contains(path, "/extensions/"):
		return p.extend(ctx)
	default:
		return p.change(ctx, m)
	}
}

func (p *program) service() engine.ServiceID { return engine.ServiceID(p.number(0)) }

func (p *program) number(i int) int64 {
	n, _ := strconv.ParseInt(string(p.parameters[i]), 10, 64)
	return n
}

func (p *program) change(ctx context.Context, m sentMembers) (answer, error) {
	done := func(status int, err error) (answer, error) { return answer{status: status, header: http.Header{}}, err }
	switch p.operation {
	case "POST /services_composite/start":
		return p.compositeStart(ctx, m)
	case "POST /services/start":
		start := m.serviceStart()
		id, err := p.engine.StartService(ctx, &start)
		return located(jsonAnswer(201, fmt.Sprintf(`{"service_id":%d}`, id)), "/services/%d", id), err
	case "POST /services/{id}/states/start":
		start := m.stateStart()
		start.Service = p.service()
		id, err := p.engine.StartState(ctx, &start)
		return located(jsonAnswer(201, fmt.Sprintf(`{"state_id":%d}`, id)), "/services/%d/states/%d", start.Service, id), err
	case "POST /services/{id}/tasks/start":
		start := m.taskStart()
		start.Service = p.service()
		id, err := p.engine.StartTask(ctx, &start)
		return located(jsonAnswer(201, fmt.Sprintf(`{"task_id":%d}`, id)), "/services/%d/tasks/%d", start.Service, id), err
	case "POST /services/{id}/states/transition":
		change := m.transition()
		change.Service = p.service()
		id, err := p.engine.Transition(ctx, &change)
		return located(jsonAnswer(201, fmt.Sprintf(`{"state_id":%d}`, id)), "/services/%d/states/%d", change.Service, id), err
	case "POST /services/{id}/end":
		end := engine.ServiceEnd{Service: p.service(), TTL: m.integer("ttl"), ExpirationTime: m.instant("expiration_time"), Timestamp: m.instant("timestamp")}
		m.drop("customer_id", "contact_key", "service_type", "auto_complete_after")
		end.Details = m.details(true)
		return done(204, p.engine.EndService(ctx, &end))
	case "POST /services/{id}/states/{sid}/end":
		end := engine.StateEnd{Service: p.service(), ID: int32(p.number(1)), Timestamp: m.instant("timestamp")}
		m.drop("state_type", "previous_state_id")
		end.Details = m.details(true)
		return done(204, p.engine.EndState(ctx, &end))
	case "POST /services/{id}/tasks/{tid}/end":
		end := engine.TaskEnd{Service: p.service(), ID: int32(p.number(1)), Timestamp: m.instant("timestamp")}
		m.drop("task_type", "customer_id")
		end.Details = m.details(true)
		return done(204, p.engine.EndTask(ctx, &end))
	case "POST /customers/{customer_id}/services/{id}":
		return done(204, p.engine.Associate(ctx, &engine.ServiceAssociation{
			CustomerID: string(p.parameters[0]), Service: engine.ServiceID(p.number(1)), Update: m.serviceStart(),
		}))
	case "DELETE /services/{id}":
		return done(200, p.engine.DeleteService(ctx, p.service()))
	case "PUT /services/{id}":
		return done(200, p.engine.SetExpiration(ctx, &engine.ServiceExpiration{
			Service: p.service(), TTL: m.integer("ttl"), ExpirationTime: m.instant("expiration_time"),
		}))
	}
	return answer{}, fmt.Errorf("no program for %s", p.operation)
}

func (p *program) compositeStart(ctx context.Context, m sentMembers) (answer, error) {
	var items []engine.Composite
	for _, one := range m.list("services") {
		item := engine.Composite{
			Service: one.object("service").serviceStart(), State: one.object("state").stateStart(),
			Associate: one.flag("associate_state_task"), CreateNew: one.flag("create_new_services") || m.flag("create_new_services"),
		}
		if _, item.HasTask = one["task"]; item.HasTask {
			item.Task = one.object("task").taskStart()
		}
		items = append(items, item)
	}
	out, err := p.engine.CompositeStart(ctx, items, nil)
	if err != nil {
		return answer{}, err
	}
	a, last := jsonAnswer(200, string(appendOutcomes(nil, out))), out[len(out)-1]
	if last.Task != 0 {
		return located(a, "/services/%d/tasks/%d", last.Service, last.Task), nil
	}
	return located(a, "/services/%d/states/%d", last.Service, last.State), nil
}

func (p *program) extend(ctx context.Context) (answer, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, p.body); err != nil {
		return answer{}, err
	}
	x := engine.ExtensionChange{Service: p.service(), Name: string(p.parameters[len(p.parameters)-1]), JSON: compact.Bytes(),
		Merge: strings.HasSuffix(p.operation, "/merge")}
	switch {
	case strings.Contains(p.operation, "/states/"):
		x.State = int32(p.number(1))
	case strings.Contains(p.operation, "/tasks/"):
		x.Task = int32(p.number(1))
	}
	return answer{status: 200, header: http.Header{}}, p.engine.SetExtension(ctx, &x)
}

func (p *program) maintain(ctx context.Context, m sentMembers) (answer, error) {
	if p.operation == "POST /maintenance/purge" {
		asked := purgeRequest{limit: m.instant("limit"), operation: m.text("operation")}
		purge, err := asked.complete([]byte(p.query))
		if err == nil {
			_, err = p.engine.Purge(ctx, purge)
		}
		return answer{status: 200, header: http.Header{}}, err
	}
	filter, content, err := parseExport([]byte(p.query))
	if err != nil {
		return answer{}, err
	}
	body := []byte{'['}
	for walk, done := p.engine.Export(filter), false; !done; {
		var services []*engine.Service
		if services, done, err = walk.Next(ctx); err != nil {
			return answer{}, err
		}
		for _, s := range services {
			if len(body) > 1 {
				body = append(body, ',')
			}
			if content {
				body = everything.appendService(body, s)
			} else {
				body = strconv.AppendInt(body, int64(s.ID), 10)
			}
		}
	}
	return jsonAnswer(200, string(append(body, ']'))), nil
}

func (p *program) read(ctx context.Context) (answer, error) {
	q, err := parseQuery([]byte(p.query))
	if err != nil {
		return answer{}, err
	}
	phase := engine.AnyPhase
	switch {
	case strings.HasSuffix(p.operation, "/active"):
		phase = engine.Active
	case strings.HasSuffix(p.operation, "/completed"):
		phase = engine.Completed
	}
	var b []byte
	if strings.Contains(p.operation, "/customers/") || strings.Contains(p.operation, "/anonymous/") {
		list := (*engine.Engine).CustomerServices
		if strings.Contains(p.operation, "/anonymous/") {
			list = (*engine.Engine).AnonymousServices
		}
		services, err := list(p.engine, ctx, string(p.parameters[0]), phase)
		return jsonAnswer(200, string(q.appendServices(nil, services))), err
	}
	s, err := p.engine.Service(ctx, p.service())
	if err != nil {
		return answer{}, err
	}
	switch {
	case strings.HasSuffix(p.operation, "/{sid}"):
		state := s.State(p.number(1))
		if state == nil {
			return answer{}, conversation.NoState(s.ID, int32(p.number(1)))
		}
		b = q.appendState(nil, s, state)
	case strings.HasSuffix(p.operation, "/{tid}"):
		task := s.Task(p.number(1))
		if task == nil {
			return answer{}, conversation.NoTask(s.ID, int32(p.number(1)))
		}
		b = q.appendTask(nil, s, task)
	case strings.Contains(p.operation, "/states"):
		b = q.appendStates(nil, s, phase)
	case strings.Contains(p.operation, "/tasks"):
		b = q.appendTasks(nil, s, phase)
	default:
		b = q.appendService(nil, s)
	}
	return jsonAnswer(200, string(b)), nil
}
