package rivals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomodule/redigo/redis"

	"github.com/switchboard-cs/switchboard/bench"
)

// conn is what every rival's connection is: it also tells what the last answer was.
type conn interface {
	bench.Conn
	outcomes() ([]outcome, error)
}

// servers are those that the environment names, or that up.sh can start here.
type servers struct {
	settings Settings
	said     string // what up.sh said about the others
}

var started servers

func TestMain(m *testing.M) {
	stop := started.start()
	code := m.Run()
	stop()
	os.Exit(code)
}

func (s *servers) start() (stop func()) {
	s.settings = SettingsFromEnv()
	if s.settings != (Settings{}) {
		s.said = "the environment names other servers only"
		return func() {}
	}
	dir, err := os.MkdirTemp("", "rivals")
	if err != nil {
		s.said = err.Error()
		return func() {}
	}
	home := filepath.Join(dir, "servers")
	stop = func() {
		if out, err := exec.Command("./up.sh", "down", home).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "up.sh down: %v: %s\n", err, out)
			return
		}
		_ = os.RemoveAll(dir) // empty by now
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the user postgres must get through
		s.said = err.Error()
		return stop
	}
	var said bytes.Buffer
	up := exec.Command("./up.sh", "up", home)
	up.Stderr = &said
	out, err := up.Output()
	s.said = strings.TrimSpace(said.String())
	if err != nil {
		s.said = fmt.Sprintf("up.sh: %v: %s", err, s.said)
	}
	for _, word := range strings.Fields(string(out)) {
		name, value, _ := strings.Cut(word, "=")
		value = strings.Trim(value, "'")
		switch name {
		case envRedisAlways:
			s.settings.RedisAlways = value
		case envRedisEverysec:
			s.settings.RedisEverysec = value
		case envPostgres:
			s.settings.Postgres = value
		}
	}
	return stop
}

// open gives the rival, or skips the test and says why.
func open(t *testing.T, r Rival) bench.Target {
	t.Helper()
	settings := started.settings
	if r.Name == "nethttp" {
		settings.NetHTTP = serve(t, t.TempDir())
	}
	target, err := r.Open(t.Context(), settings)
	if errors.Is(err, ErrAbsent) {
		t.Skipf("%v (%s)", err, started.said)
	}
	if r.Name == NetHTTP {
		target = &netHTTP{settings.NetHTTP} // which keeps the answers
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	})
	return target
}

func dial(t *testing.T, target bench.Target) conn {
	t.Helper()
	c, err := target.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c.(conn)
}

// each runs a test on every rival that is there.
func each(t *testing.T, test func(*testing.T, bench.Target)) {
	for _, r := range All() {
		t.Run(r.Name, func(t *testing.T) { test(t, open(t, r)) })
	}
}

// item is a composite start of a service, a state and, unless task is "", a task of these types.
func item(customer, service, state, task string) bench.Item {
	i := bench.Item{
		Customer: customer, Service: service, State: state, Task: task,
		ServiceJSON: fmt.Appendf(nil, `{"customer_id":%q,"service_type":%q,"Offer":{"name":"VIP","rate":1.10}}`, customer, service),
		StateJSON:   fmt.Appendf(nil, `{"state_type":%q,"Feedback":[1,2]}`, state),
	}
	if task != "" {
		i.TaskJSON = fmt.Appendf(nil, `{"task_type":%q,"Notes":"ü"}`, task)
	}
	return i
}

func request(items ...bench.Item) *bench.Request {
	var body []byte
	for _, i := range items {
		part := fmt.Appendf(nil, `{"service":%s,"state":%s,"associate_state_task":"true"`, i.ServiceJSON, i.StateJSON)
		if i.TaskJSON != nil {
			part = fmt.Appendf(part, `,"task":%s`, i.TaskJSON)
		}
		if body != nil {
			body = append(body, ',')
		}
		body = append(append(body, part...), '}')
	}
	return &bench.Request{
		Method: "POST", Path: startPath, Items: items,
		Body: fmt.Appendf(nil, `{"services":[%s]}`, body),
	}
}

func do(t *testing.T, c conn, items ...bench.Item) []outcome {
	t.Helper()
	if err := c.Do(request(items...)); err != nil {
		t.Fatal(err)
	}
	outcomes, err := c.outcomes()
	if err != nil {
		t.Fatal(err)
	}
	if len(outcomes) != len(items) {
		t.Fatalf("%d answers to %d items", len(outcomes), len(items))
	}
	return append([]outcome(nil), outcomes...)
}

// found is what o becomes when it is asked for again.
func found(o outcome) outcome {
	o.serviceCreated, o.stateCreated, o.taskCreated = false, false, false
	return o
}

// What was created is found again; another type of task, state or service is created beside it,
// and another customer has his own.
func TestFindOrCreate(t *testing.T) {
	each(t, func(t *testing.T, target bench.Target) {
		c := dial(t, target)
		first := do(t, c, item("anna", "Renew", "Identify", "Ask"))[0]
		if !first.serviceCreated || !first.stateCreated || !first.taskCreated {
			t.Fatalf("the first: %+v", first)
		}
		same := func(what string, got, want outcome) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %+v, want %+v", what, got, want)
			}
		}
		again := func(what string) {
			t.Helper()
			same(what, do(t, c, item("anna", "Renew", "Identify", "Ask"))[0], found(first))
		}
		again("again")

		task := do(t, c, item("anna", "Renew", "Identify", "Check"))[0]
		same("another task", task, outcome{service: first.service, state: first.state, task: task.task, taskCreated: true})
		if task.task == first.task {
			t.Errorf("two tasks with the id %d", task.task)
		}
		again("after another task")
		state := do(t, c, item("anna", "Renew", "Sign", "Check"))[0]
		same("another state, and the task of the service", state, outcome{service: first.service, state: state.state, stateCreated: true, task: task.task})
		if state.state == first.state {
			t.Errorf("two states with the id %d", state.state)
		}
		none := do(t, c, item("anna", "Renew", "Identify", ""))[0]
		same("no task", none, outcome{service: first.service, state: first.state})

		for _, other := range []bench.Item{item("anna", "Order", "Identify", "Ask"), item("ben", "Renew", "Identify", "Ask")} {
			o := do(t, c, other)[0]
			if !o.serviceCreated || !o.stateCreated || !o.taskCreated || o.service == first.service {
				t.Errorf("%s %s: got %+v beside %+v", other.Customer, other.Service, o, first)
			}
		}
		again("after all that")
	})
}

// An item sees what those before it created, and answers are in the order of the items.
func TestItems(t *testing.T) {
	each(t, func(t *testing.T, target bench.Target) {
		c := dial(t, target)
		o := do(t, c,
			item("zoe", "Renew", "Identify", "Ask"), item("anna", "Renew", "Identify", ""),
			item("zoe", "Renew", "Identify", "Ask"), item("anna", "Renew", "Identify", "Ask"))
		if !o[0].serviceCreated || !o[1].serviceCreated || o[0].service == o[1].service || o[1].task != 0 {
			t.Errorf("the first two: %+v", o[:2])
		}
		if o[2] != found(o[0]) {
			t.Errorf("zoe again: got %+v, want %+v", o[2], found(o[0]))
		}
		if o[3].service != o[1].service || o[3].state != o[1].state || !o[3].taskCreated {
			t.Errorf("anna again: got %+v after %+v", o[3], o[1])
		}
	})
}

// An answer that is not what the item wants is an error of its kind.
func TestWants(t *testing.T) {
	each(t, func(t *testing.T, target bench.Target) {
		c, i := dial(t, target), item("anna", "Renew", "Identify", "Ask")
		for _, step := range []struct {
			want bench.Want
			err  error
		}{{bench.Found, bench.ErrCreated}, {bench.Created, bench.ErrFound}, {bench.Found, nil}, {bench.Either, nil}} {
			i.Wants = step.want
			err := c.Do(request(i))
			if o, e := c.outcomes(); err == nil && e == nil { // nethttp's own connection leaves it to us
				err = checkOutcomes(target.Name(), request(i), o)
			}
			if !errors.Is(err, step.err) {
				t.Errorf("wanted %v: %v, want %v", step.want, err, step.err)
			}
		}
	})
}

// Of fifty identical requests at once one creates, and all get the same ids; also with two
// services a request, named in both orders.
func TestIdenticalAtOnce(t *testing.T) {
	const callers, rounds = 50, 10
	each(t, func(t *testing.T, target bench.Target) {
		conns := make([]conn, callers)
		for i := range conns {
			conns[i] = dial(t, target)
		}
		for round := range rounds {
			customer := fmt.Sprint("customer-", round)
			items := []bench.Item{item(customer, "Renew", "Identify", "Ask"), item(customer, "Order", "Identify", "Ask")}
			answers := make([][]outcome, callers)
			var wait sync.WaitGroup
			for i, c := range conns {
				wait.Go(func() {
					mine := []bench.Item{items[i%2], items[1-i%2]}
					if err := c.Do(request(mine...)); err != nil {
						t.Error(err)
						return
					}
					answers[i], _ = c.outcomes()
				})
			}
			wait.Wait()
			var created [2]outcome
			count := [2][3]int{}
			for i, answer := range answers {
				if len(answer) != 2 {
					t.Fatalf("round %d, caller %d: %+v", round, i, answer)
				}
				for place, o := range answer {
					which := (i + place) % 2
					for flag, set := range []bool{o.serviceCreated, o.stateCreated, o.taskCreated} {
						if set {
							count[which][flag]++
						}
					}
					if i == 0 {
						created[which] = found(o)
					} else if found(o) != created[which] {
						t.Errorf("round %d, caller %d: got %+v, want %+v", round, i, o, created[which])
					}
				}
			}
			if count != [2][3]int{{1, 1, 1}, {1, 1, 1}} {
				t.Errorf("round %d: created %v times", round, count)
			}
		}
	})
}

// The servers promise what the targets' names say, and a target refuses one that does not.
func TestDurability(t *testing.T) {
	each(t, func(t *testing.T, target bench.Target) {
		switch target := target.(type) {
		case *redisTarget:
			c := dial(t, target).(*redisConn)
			got, err := redis.StringMap(c.conn.Do("CONFIG", "GET", "append*"))
			if err != nil || got["appendonly"] != "yes" || got["appendfsync"] != target.policy {
				t.Errorf("got %v, %v", got, err)
			}
			other := map[string]string{"always": "everysec", "everysec": "always"}[target.policy]
			if _, err := openRedis(other, target.addr, ""); err == nil {
				t.Errorf("a server with %s is taken for one with %s", target.policy, other)
			}
		case *postgresTarget:
			c := dial(t, target).(*postgresConn)
			var got string
			if err := c.conn.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != target.commit {
				t.Errorf("synchronous_commit: got %q, %v, want %s", got, err, target.commit)
			}
			if err := target.check(context.Background(), c.conn); err != nil {
				t.Error(err)
			}
		}
	})
}

// Each event is stored as it came.
func TestStored(t *testing.T) {
	each(t, func(t *testing.T, target bench.Target) {
		i := item("anna", "Renew", "Identify", "Ask")
		c := dial(t, target)
		o := do(t, c, i)[0]
		do(t, c, i)
		var got []string
		var err error
		switch c := c.(type) {
		case *netHTTPConn:
			t.Skip("TestNetHTTPReopened reads them back")
		case *redisConn:
			got, err = redis.Strings(c.conn.Do("HMGET", c.target.run+":customer:anna", o.service,
				fmt.Sprintf("%d:%d", o.service, o.state), fmt.Sprintf("%d:%d", o.service, o.task)))
		case *postgresConn:
			got = make([]string, 3)
			err = c.conn.QueryRow(t.Context(), `SELECT a.event, b.event, c.event FROM services a
				JOIN states b ON b.service = a.id JOIN tasks c ON c.service = a.id AND c.state = b.id
				WHERE a.id = $1`, o.service).Scan(&got[0], &got[1], &got[2])
		}
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range [][]byte{i.ServiceJSON, i.StateJSON, i.TaskJSON} {
			if got[n] != string(want) {
				t.Errorf("event %d: got %s, want %s", n, got[n], want)
			}
		}
	})
}

// A rival without an address is absent, and says what to do.
func TestAbsent(t *testing.T) {
	for _, r := range All() {
		target, err := r.Open(t.Context(), Settings{})
		if target != nil || !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), r.Name) {
			t.Errorf("%s: got %v, %v", r.Name, target, err)
		}
	}
}
