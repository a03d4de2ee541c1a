package transport

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-cs/switchboard/engine"
)

// A purge says its limit and operation in the body or, what the body lacks, in the query.
func TestPurgeParameters(t *testing.T) {
	parse := func(body, query string) (engine.Purge, error) {
		var p purgeRequest
		err := newRequest().parseEvent([]byte(body), testBounds, optional, func(r *request) error { return r.purge(&p) })
		if err != nil {
			return engine.Purge{}, err
		}
		return p.complete([]byte(query))
	}
	const at = "2016-05-18T15:23:34.447Z"
	for _, c := range []struct {
		body, query string
		want        engine.Purge
	}{
		{`{"limit":"` + at + `","operation":"purge.service.all"}`, ``, engine.Purge{}},
		{``, `limit=` + at + `&operation=purge.service.started`, engine.Purge{Phase: engine.Active}},
		{`{"operation":"purge.service.started.anonymous","x":[1]}`, `limit=2016-05-18T17:23:34.447+02:00&x=%20`, engine.Purge{Phase: engine.Active, Anonymous: true}},
		{`{"limit":"` + at + `","operation":null}`, `operation=purge.service.completed`, engine.Purge{Phase: engine.Completed}},
		{`{"limit":"` + at + `","operation":"purge.service.completed.anonymous"}`, `operation=purge.service.all&limit=2020-01-01T00:00:00Z`,
			engine.Purge{Phase: engine.Completed, Anonymous: true}},
	} {
		c.want.Limit = instant(t, at)
		if got, err := parse(c.body, c.query); err != nil || got != c.want {
			t.Errorf("%s ?%s: %+v, %v", c.body, c.query, got, err)
		}
	}
	for _, c := range []struct{ body, query, want string }{
		{``, ``, `limit: mandatory, and missing`},
		{`{"limit":"` + at + `"}`, ``, `operation: mandatory, and missing`},
		{`{"limit":1}`, ``, `limit: want an RFC 3339 timestamp after the first instant of the year 1, got 1`},
		{`{"operation":5}`, ``, `operation: want a string, got 5`},
		{``, `limit=yesterday`, `limit: want an RFC 3339 timestamp after the first instant of the year 1, got "yesterday"`},
		{``, `limit=` + at + `&operation=purge.all`, `operation: want purge.service.all, purge.service.started, purge.service.started.anonymous, ` +
			`purge.service.completed or purge.service.completed.anonymous, got "purge.all"`},
		{`[]`, ``, `body: want an object, got []`},
	} {
		if _, err := parse(c.body, c.query); err == nil || err.Error() != c.want || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s ?%s\n got %v\nwant %s", c.body, c.query, err, c.want)
		}
	}
}

// The parameters of an export, and what is wrong with them.
func TestExportParameters(t *testing.T) {
	f, content, err := parseExport([]byte("time_from=2016-05-18T15:23:34Z&time_to=2016-05-18T15:23:35Z&filter_events=completed&filter_state=inactive&export_content=TRUE&x=%20"))
	want := engine.Filter{From: instant(t, "2016-05-18T15:23:34Z"), To: instant(t, "2016-05-18T15:23:35Z"), Events: engine.Ended, Phase: engine.Completed}
	if err != nil || !content || f != want {
		t.Errorf("%+v, %v, %v", f, content, err)
	}
	f, content, err = parseExport([]byte("filter_events=started&time_from=2016-05-18T15:23:34Z&filter_state=active"))
	if want := (engine.Filter{From: want.From, Events: engine.Started, Phase: engine.Active}); err != nil || content || f != want {
		t.Errorf("%+v, %v, %v", f, content, err)
	}
	for query, want := range map[string]string{
		"":                               `time_from: mandatory, and missing`,
		"time_to=2016-05-18T15:23:35Z":   `time_from: mandatory, and missing`,
		"time_from=1":                    `time_from: want an RFC 3339 timestamp after the first instant of the year 1, got "1"`,
		"time_to=":                       `time_to: want an RFC 3339 timestamp after the first instant of the year 1, got ""`,
		"filter_events=ended":            `filter_events: want any, started or completed, got "ended"`,
		"filter_state=completed":         `filter_state: want any, active or inactive, got "completed"`,
		"filter_state=%zz":               `filter_state: bad percent-encoding "%zz"`,
		"export_content=1&time_from=now": `export_content: want true or false, got "1"`,
	} {
		if _, _, err := parseExport([]byte(query)); err == nil || err.Error() != want || !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("?%s\n got %v\nwant %s", query, err, want)
		}
	}
}

// An export is rendered part by part, ids bare or services whole, and needs no more memory than
// a part; one of nothing is an empty array.
func TestExportIsRenderedInParts(t *testing.T) {
	s := New(Options{})
	walk := func(content bool, services ...*engine.Service) *export {
		if err := s.startWalk(); err != nil {
			t.Fatal(err)
		}
		return &export{server: s, batch: services, last: true, content: content, before: '['}
	}
	read := func(x *export) string {
		b, err := io.ReadAll(x)
		if err != nil {
			t.Error(err)
		}
		_, _ = x.Close(), x.Close()
		return string(b)
	}
	if got := read(walk(true)); got != `[]` {
		t.Errorf("nothing is %s", got)
	}
	if got := read(walk(false, &engine.Service{ID: 1}, &engine.Service{ID: 9007199254740991})); got != `[1,9007199254740991]` {
		t.Errorf("ids are %s", got)
	}
	whole := rendered(t)
	want := string(mustQuery(t, "active_states=true&completed_states=true&active_tasks=true&completed_tasks=true&extensions=*,State.*,Task.*").appendService(nil, whole))
	if got := read(walk(true, whole, whole)); got != `[`+want+`,`+want+`]` {
		t.Errorf("services are %s", got)
	}
	many := make([]*engine.Service, 10_000)
	for i := range many {
		many[i] = whole
	}
	x := walk(true, many...)
	if got := read(x); len(got) != 10_000*(len(want)+1)+1 || cap(x.text) > 4*exportBytes {
		t.Errorf("%d bytes, made in %d", len(got), cap(x.text))
	}
	if n := s.walks.Load(); n != 0 {
		t.Errorf("%d walks are left", n)
	}
}

// Purges and exports at once are bounded.
func TestWalksAreBounded(t *testing.T) {
	s := New(Options{})
	for range maxWalks {
		if err := s.startWalk(); err != nil {
			t.Fatal(err)
		}
	}
	err := s.startWalk()
	if status, exception, message := s.describe(err); status != 503 || exception != "OverloadedException" || message != errWalks.Error() {
		t.Errorf("%v is %d %s %s", err, status, exception, message)
	}
	s.endWalk()
	if err := s.startWalk(); err != nil {
		t.Error(err)
	}
}

// Past the bound a purge and an export are refused with a time to come back; what is wrong with
// them is told before.
func TestWalksPastTheBoundAreRefused(t *testing.T) {
	w := open(t, Options{})
	w.walks.Store(maxWalks)
	defer w.walks.Store(0)
	const purge, export = base + "/maintenance/purge?limit=2016-05-18T15:23:34Z&operation=purge.service.", base + "/maintenance/services/stream?time_from="
	w.post(t, purge+"all", ``).want(t, 503, refusalBody("OverloadedException", errWalks.Error())).wantHeader(t, "Retry-After", "1")
	w.get(t, export+"2016-05-18T15:23:34Z").want(t, 503, refusalBody("OverloadedException", errWalks.Error())).wantHeader(t, "Retry-After", "1")
	w.post(t, purge+"none", ``).want(t, 400, `.*`)
	w.get(t, export).want(t, 400, `.*`)
}

// A purge stops when the server drains, and says so.
func TestPurgeStopsWithTheServer(t *testing.T) {
	w := open(t, Options{})
	w.post(t, base+"/services/start", `{"customer_id":"c","service_type":"s"}`).want(t, 201, `.*`)
	w.stop()
	w.post(t, base+"/maintenance/purge?limit=9999-01-01T00:00:00Z&operation=purge.service.all", ``).
		want(t, 503, refusalBody("OverloadedException", errUnavailable.Error())).wantHeader(t, "Retry-After", "1")
}

// parts is a body that gives so many parts with a pause before each, and then fails.
type parts struct {
	left  int
	part  string
	pause time.Duration
	err   error
}

func (p *parts) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, p.err
	}
	time.Sleep(p.pause)
	p.left--
	return copy(b, p.part), nil
}

// streaming opens a site that streams p under /stream, and gives a client time for a part.
func streaming(t *testing.T, patience time.Duration, p *parts) *site {
	w := open(t, Options{patience: patience})
	w.routes = append(w.routes, compile([]operation{{method: "GET", path: "/stream", run: func(c *call) error {
		c.ctx.Conn().(*connection).streaming = true
		c.ctx.Response.SetBodyStream(p, -1)
		return nil
	}}})...)
	return w
}

// A streamed answer may take longer than a client has for a part of it.
func TestLongStreamIsNotCut(t *testing.T) {
	w := streaming(t, 500*time.Millisecond, &parts{left: 10, part: "x", pause: 100 * time.Millisecond, err: io.EOF})
	w.get(t, "/stream").want(t, 200, `xxxxxxxxxx`)
}

// A client that does not fetch is cut off.
func TestStreamThatNobodyFetchesIsCut(t *testing.T) {
	w := streaming(t, 100*time.Millisecond, &parts{left: 1 << 30, part: strings.Repeat("x", 4096), err: io.EOF})
	dial(t, w.addr).send(t, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		w.connections.mu.Lock()
		open := len(w.connections.open)
		w.connections.mu.Unlock()
		if open == 0 {
			return
		}
	}
	t.Error("still being written to")
}

// An answer that breaks off is seen to be not whole.
func TestBrokenStreamIsSeen(t *testing.T) {
	w := streaming(t, time.Second, &parts{left: 3, part: "x", err: errors.New("the disk")})
	l := dial(t, w.addr).send(t, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	response, err := http.ReadResponse(l.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(response.Body); err != io.ErrUnexpectedEOF || string(b) != "xxx" {
		t.Errorf("%q, %v", b, err)
	}
}

// A HEAD of an export checks its parameters and walks through nothing.
func TestHeadOfAnExport(t *testing.T) {
	w := open(t, Options{})
	for path, status := range map[string]int{"": 400, "?time_from=2016-05-18T15:23:34Z": 200} {
		if a := w.do(t, "HEAD", base+"/maintenance/services/stream"+path, ""); a.status != status || a.body != "" || w.walks.Load() != 0 {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
	}
}
