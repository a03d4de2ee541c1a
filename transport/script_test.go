package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

// The conformance suite. Each file in testdata/api and testdata/http is a story of requests and
// replies, told to a server of its own with an empty store and a clock that stands still:
//
//	send            a request: method and path (below /genesys/1/cs, or whole), headers, an empty
//	                line, the body; with latin1, the body is sent in that encoding, with sorted,
//	                the elements of the reply are put in order
//	server          a new server with an empty store, with tenants=(a,b), auto-complete-after=1m,
//	                expire-after=1h, strict, and bounds by the names of the flags of serve; its
//	                input is a file of credentials
//	advance 90s     moves the clock
//	restart         closes the engine and opens it again on what it stored
//
// A reply is its status, the headers that matter, and its body, JSON indented where it is long.
// Those in testdata/api say nothing that HTTP alone could say: they are told a second time, to
// the engine as a program embeds it (embedded_test.go). With -rewrite, replies are written anew;
// a 500 never is.

// storyBegins is what the clock says first.
var storyBegins = time.Date(2026, 5, 18, 15, 23, 34, 447e6, time.UTC)

// script is the telling of one story.
type script struct {
	t    *testing.T // of the whole file
	fs   *vfs.MemFS
	now  atomic.Int64 // after storyBegins
	eo   engine.Options
	o    Options
	site *site
}

// sent is a request as a script has it.
type sent struct {
	method, path string // the path is whole
	headers      []string
	body         string
}

func TestScripts(t *testing.T) {
	for _, path := range scripts(t, "testdata/api/*.txt", "testdata/http/*.txt") {
		t.Run(strings.TrimPrefix(path, "testdata/"), func(t *testing.T) {
			tell(t, path, (*script).overHTTP)
		})
	}
}

func scripts(t testing.TB, patterns ...string) (paths []string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no script in %s (%v)", pattern, err)
		}
		paths = append(paths, found...)
	}
	return paths
}

// tell goes through a file, each request answered by ask.
func tell(t *testing.T, path string, ask func(*script, *testing.T, *datadriven.TestData, sent) string) {
	leavesNothing(t)
	s := &script{t: t}
	t.Cleanup(func() {
		if s.site != nil {
			s.site.close()
		}
	})
	s.serve(t, &datadriven.TestData{})
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "send":
			return ask(s, t, d, parseSent(d))
		case "server":
			s.serve(t, d)
		case "advance":
			by, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			s.now.Add(int64(by))
		case "restart":
			s.restart()
		default:
			d.Fatalf(t, "no such command: %s", d.Cmd)
		}
		return ""
	})
}

// parseSent reads the input of send.
func parseSent(d *datadriven.TestData) sent {
	head, body, _ := strings.Cut(d.Input, "\n\n")
	lines := strings.Split(head, "\n")
	method, path, _ := strings.Cut(lines[0], " ")
	if d.HasArg("latin1") {
		var b []byte
		for _, r := range body {
			b = append(b, byte(r))
		}
		body = string(b)
	}
	return sent{method: method, path: absolute(path), headers: lines[1:], body: body}
}

// serve starts a new server on an empty store.
func (s *script) serve(t *testing.T, d *datadriven.TestData) {
	s.now.Store(0)
	s.fs = vfs.NewMem()
	s.eo = engine.Options{Dir: "data", Now: s.clock}
	s.o = Options{Now: s.clock}
	for _, arg := range d.CmdArgs {
		s.option(t, d, arg)
	}
	if d.Input != "" {
		s.o.Credentials = mustCredentials(t, d.Input, s.o.Tenants...)
	}
	s.restart()
}

func (s *script) clock() time.Time { return storyBegins.Add(time.Duration(s.now.Load())) }

func (s *script) restart() {
	if s.site != nil {
		s.site.close()
	}
	s.eo.FS = s.fs
	s.site = openOn(s.t, s.eo, s.o)
}

// option sets what an argument of server names.
func (s *script) option(t *testing.T, d *datadriven.TestData, arg datadriven.CmdArg) {
	numbers := map[string]*int{
		"max-body": &s.o.MaxBodyBytes, "max-depth": &s.eo.Bounds.Depth, "max-items": &s.eo.Bounds.Items, "max-key": &s.eo.Bounds.KeyBytes,
		"max-active-services": &s.eo.Bounds.ActiveServices, "max-parts": &s.eo.Bounds.Parts,
		"max-extensions": &s.eo.Bounds.Extensions, "max-extension-name": &s.eo.Bounds.NameBytes,
	}
	durations := map[string]*time.Duration{"auto-complete-after": &s.eo.AutoCompleteAfter, "expire-after": &s.eo.ExpireAfter}
	var err error
	switch {
	case arg.Key == "tenants":
		s.o.Tenants = arg.Vals
	case arg.Key == "strict":
		s.eo.Bounds.Strict = true
	case numbers[arg.Key] != nil:
		*numbers[arg.Key], err = strconv.Atoi(arg.Vals[0])
	case durations[arg.Key] != nil:
		*durations[arg.Key], err = time.ParseDuration(arg.Vals[0])
	default:
		d.Fatalf(t, "no such option: %s", arg.Key)
	}
	if err != nil {
		d.Fatalf(t, "%s: %v", arg.Key, err)
	}
}

// overHTTP sends a request as it stands, on a connection of its own.
func (s *script) overHTTP(t *testing.T, d *datadriven.TestData, r sent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\n", r.method, r.path)
	for _, h := range r.headers {
		fmt.Fprintf(&b, "%s\r\n", h)
	}
	if r.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	l := dial(t, s.site.addr).send(t, b.String())
	defer l.Close()
	a := l.readTo(t, r.method)
	if d.HasArg("sorted") {
		a.body = sorted(a.body)
	}
	if a.status == http.StatusInternalServerError && d.Rewrite {
		t.Errorf("%s: a fault: %s", d.Pos, a.body)
		return d.Expected
	}
	return a.shown()
}

// sorted puts the elements of an array in order, where the API promises none.
func sorted(body string) string {
	var elements []json.RawMessage
	if json.Unmarshal([]byte(body), &elements) != nil {
		return body
	}
	slices.SortFunc(elements, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	return string(appendArray(nil, elements, func(b []byte, e json.RawMessage) []byte { return append(b, e...) }))
}

// shown is a reply as scripts have it.
func (a answer) shown() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d %s\n", a.status, http.StatusText(a.status))
	for _, name := range []string{"Location", "Allow", "WWW-Authenticate", "Retry-After"} {
		if value := a.header.Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	switch kind := a.header.Get("Content-Type"); {
	case a.body == "":
		return b.String()
	case kind != contentTypeJSON:
		fmt.Fprintf(&b, "Content-Type: %s\n%s", kind, a.body)
	case !json.Valid([]byte(a.body)):
		return "not JSON: " + a.body
	default:
		layOut(&b, a.body, "")
	}
	b.WriteByte('\n')
	return b.String()
}

// layOut writes compact JSON, each object and array on one line where it fits there.
func layOut(b *bytes.Buffer, v, indent string) {
	const width = 120
	if len(indent)+len(v) <= width || v[0] != '{' && v[0] != '[' {
		b.WriteString(v)
		return
	}
	b.WriteByte(v[0])
	from, level := 1, 0
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '"':
			i = endOfString([]byte(v), i) - 1
			continue
		case '{', '[':
			level++
			continue
		case '}', ']':
			level--
		}
		if level > 0 || level == 0 && v[i] != ',' {
			continue
		}
		b.WriteString("\n  " + indent)
		element := v[from:i]
		if v[0] == '{' {
			name := endOfString([]byte(element), 0)
			b.WriteString(element[:name] + ": ")
			element = element[name+1:]
		}
		layOut(b, element, indent+"  ")
		if level == 0 {
			b.WriteByte(',')
		}
		from = i + 1
	}
	b.WriteString("\n" + indent + v[len(v)-1:])
}

// The scripts leave nothing of the API out: each operation is answered with success by one, and
// each exception is there, or else in the Go test that is named here.
func TestScriptsCoverTheAPI(t *testing.T) {
	elsewhere := map[string]string{
		"RequestTimeoutException":              "TestBrokenHeaders",
		"RequestHeaderFieldsTooLargeException": "TestBrokenHeaders",
		"OverloadedException":                  "TestBeforeTheEngineAndWhileDraining, TestPastTheDeadline, TestConnectionsAreBounded",
		"InsufficientStorageException":         "TestKindsOfErrors",
		"InternalServerErrorException":         "TestPanic",
	}
	var all strings.Builder
	succeeded := map[string]bool{}
	s := New(Options{})
	for _, path := range scripts(t, "testdata/api/*.txt", "testdata/http/*.txt") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		datadriven.RunTestFromString(t, string(text), func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "send" && strings.HasPrefix(d.Expected, "2") {
				o, _ := s.operationOf(t, parseSent(d))
				succeeded[o.method+" "+o.path] = true
			}
			return d.Expected
		})
	}
	for _, o := range operations {
		if !succeeded[o.method+" "+o.path] {
			t.Errorf("no script has %s %s answered with success", o.method, o.path)
		}
	}
	for _, a := range answers {
		if !strings.Contains(all.String(), exceptionPrefix+a.exception+`"`) && elsewhere[a.exception] == "" {
			t.Errorf("no script is refused with %s", a.exception)
		}
	}
}

// operationOf is the operation that a request means, and the parameters of its path.
func (s *Server) operationOf(t testing.TB, r sent) (*operation, [][]byte) {
	t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(r.method)
	ctx.Request.SetRequestURI(r.path)
	c := call{server: s, ctx: &ctx}
	o, err := c.route()
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return o, c.parameters
}
