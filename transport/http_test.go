package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-cs/switchboard/engine"
)

// site is a server with an engine behind it, listening.
type site struct {
	*Server
	engine *engine.Engine
	addr   string
	client *http.Client
	close  func()
}

// open starts a site. When the test ends it is shut down, and no goroutine may be left.
func open(t testing.TB, o Options) *site {
	t.Helper()
	leavesNothing(t)
	w := openOn(t, engine.Options{Dir: t.TempDir()}, o)
	t.Cleanup(w.close)
	return w
}

// leavesNothing checks at the end of the test that no goroutine of it is left.
func leavesNothing(t testing.TB) {
	quiet := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		// fasthttp keeps one goroutine a process, for the Date header.
		goleak.VerifyNone(t, quiet, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
	})
}

func openOn(t testing.TB, eo engine.Options, o Options) *site {
	t.Helper()
	eo.Memory, eo.ReserveBytes = engine.MinMemory, -1
	e, err := engine.Open(eo)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Logf = t.Errorf
	w := &site{Server: New(o), engine: e, addr: ln.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	w.SetEngine(e)
	served := make(chan error, 1)
	go func() { served <- w.Serve(ln) }()
	w.close = func() {
		w.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	return w
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *site) do(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, "http://"+w.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := w.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(b)}
}

func (w *site) get(t testing.TB, path string) answer { t.Helper(); return w.do(t, "GET", path, "") }
func (w *site) post(t testing.TB, path, body string) answer {
	t.Helper()
	return w.do(t, "POST", path, body)
}

// want checks status and body; where the body is a regular expression, it matches whole.
func (a answer) want(t testing.TB, status int, body string) answer {
	t.Helper()
	if a.status != status || !regexp.MustCompile("^(?s:"+body+")$").MatchString(a.body) {
		t.Errorf("got  %d %s\nwant %d %s", a.status, a.body, status, body)
	}
	return a
}

func (a answer) wantHeader(t testing.TB, name, want string) answer {
	t.Helper()
	if got := a.header.Get(name); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
	return a
}

// refusalBody is an error as the wire has it.
func refusalBody(exception, message string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(message)
	return regexp.QuoteMeta(`{"message":"` + quoted + `","exception":"` + exceptionPrefix + exception + `"}`)
}

// The page's example creates a triple, and sent again finds it: 200 both times, a Location,
// and ids that lead to what was sent.
func TestCompositeStart(t *testing.T) {
	w := open(t, Options{})
	body := string(readFile(t, "composite_request.json"))
	first := w.post(t, base+"/services_composite/start", body).
		want(t, 200, `\{"services":\[\{"service":\{"service_id":\d+,"created":"true"\},"state":\{"state_id":1,"created":"true"\},"task":\{"task_id":2,"created":"true"\}\}\]\}`).
		wantHeader(t, "Content-Type", "application/json")
	service := regexp.MustCompile(`"service_id":(\d+)`).FindStringSubmatch(first.body)[1]
	first.wantHeader(t, "Location", base+"/services/"+service+"/tasks/2")
	w.post(t, base+"/services_composite/start", body).
		want(t, 200, regexp.QuoteMeta(strings.ReplaceAll(first.body, "true", "false"))).
		wantHeader(t, "Location", base+"/services/"+service+"/tasks/2")

	w.get(t, base+"/services/"+service+"?extensions=RelatedOffersService").
		want(t, 200, `\{"service_id":`+service+`,"service_type":"MyService1","customer_id":"customer-1","est_duration":60,`+
			`"started":\{"timestamp":"[^"]+","interaction_id":"123ABCAADFJ1259ACF","application_type":"App_type_1","application_id":40,`+
			`"media_type":"voice","resource_id":1183,"resource_type":"ResType1"\},`+
			`"RelatedOffersService":\[\{"offer_name":"VIP credit card black ed\.","type":9,"comments":"proposed to all client"\},.*\]\}`)
	w.get(t, base+"/services/"+service+"/tasks/2").
		want(t, 200, `\{"task_id":2,"service_id":`+service+`,"customer_id":"customer-1","task_type":"MyTask1","state_id":1,"est_duration":60,"started":.*\}`)

	twoItems := `{"services":[{"service":{"customer_id":"x","service_type":1},"state":{}},{"service":{"customer_id":"x","service_type":1},"state":{}}]}`
	second := w.post(t, base+"/services_composite/start", twoItems).
		want(t, 200, `\{"services":\[\{"service":\{"service_id":\d+,"created":"true"\},"state":\{"state_id":1,"created":"true"\}\},`+
			`\{"service":\{"service_id":\d+,"created":"false"\},"state":\{"state_id":1,"created":"false"\}\}\]\}`)
	service = regexp.MustCompile(`"service_id":(\d+)`).FindStringSubmatch(second.body)[1]
	second.wantHeader(t, "Location", base+"/services/"+service+"/states/1")
}

// Numbers come back as they were sent, digit for digit, and so do types: a number as a number.
func TestNumbersKeepTheirDigits(t *testing.T) {
	w := open(t, Options{})
	located := w.post(t, base+"/services/start",
		`{"customer_id":9007199254740993,"service_type":007}`).want(t, 400, `.*services?.*|.*not valid JSON.*`)
	located = w.post(t, base+"/services/start", `{"customer_id":9007199254740993,"service_type":9007199254740993,
		"media_type":-7,"x":[ 9007199254740993 , 1.10, 1e400, -0.0, "\u00e9\/" ]}`).want(t, 201, `\{"service_id":\d+\}`)
	w.get(t, located.header.Get("Location")+"?extensions=*").want(t, 200,
		`.*"service_type":9007199254740993,"customer_id":"9007199254740993",.*"media_type":-7.*"x":\[9007199254740993,1\.10,1e400,-0\.0,"\\u00e9\\/"\].*`)
}

// The single starts and ends: 201 with a Location that can be read, 204 that may be repeated,
// and what was said at either end shows in the read.
func TestStartsAndEnds(t *testing.T) {
	w := open(t, Options{})
	service := w.post(t, base+"/services/start", `{"customer_id":"c","contact_key":"k","service_type":"s","Note":{"a":1}}`).
		want(t, 201, `\{"service_id":\d+\}`).header.Get("Location")
	state := w.post(t, service+"/states/start", `{}`).want(t, 201, `\{"state_id":1\}`).header.Get("Location")
	task := w.post(t, service+"/tasks/start", `{"state_id":1,"task_type":5}`).want(t, 201, `\{"task_id":2\}`).header.Get("Location")
	if state != service+"/states/1" || task != service+"/tasks/2" {
		t.Errorf("locations %s, %s", state, task)
	}
	w.get(t, service+"/states/active?active_tasks=true").want(t, 200, `\[\{"state_id":1,.*"active_tasks":\[\{"task_id":2,"task_type":5,"state_id":1,.*\}\]\}\]`)
	w.get(t, service+"/tasks?state_id=2").want(t, 200, `\[\]`)

	w.post(t, task+"/end", `{"disposition":"OK","Note":[ 1 ]}`).want(t, 204, ``)
	w.post(t, task+"/end", ``).want(t, 204, ``)
	w.get(t, task+"?extensions=Note").want(t, 200, `\{"task_id":2,.*"completed":\{.*\},"disposition":"OK","duration":\d+,"Note":\[1\]\}`)
	w.do(t, "POST", state+"/end", ``, "Content-Type", "text/plain").want(t, 204, ``)
	w.post(t, service+"/end", `{"Note":2,"est_duration":1}`).want(t, 204, ``)
	w.get(t, service+"?extensions=*").want(t, 200, `.*"contact_key":"k".*"completed":.*"Note":2\}`)
	w.get(t, base+"/customers/c/services").want(t, 200, `\[\{.*\}\]`)
	w.get(t, base+"/customers/c/services/active").want(t, 200, `\[\]`)
	w.get(t, base+"/customers/c/services/completed?service_types=s").want(t, 200, `\[\{.*\}\]`)
	w.get(t, base+"/customers/c/services/completed?service_types=x").want(t, 200, `\[\]`)
	w.get(t, base+"/services/anonymous/k").want(t, 200, `\[\]`)
	w.post(t, base+"/services/start", `{"contact_key":"k","service_type":"s"}`).want(t, 201, `.*`)
	w.get(t, base+"/services/anonymous/k/active").want(t, 200, `\[\{"service_id":\d+,"service_type":"s","contact_key":"k",.*\}\]`)
}

// Every refusal has its status, its exception and a message; and nothing of a refused request
// is stored.
func TestRefusals(t *testing.T) {
	w := open(t, Options{MaxBodyBytes: 10_000})
	service := w.post(t, base+"/services/start", `{"customer_id":"c","service_type":"s"}`).header.Get("Location")
	id := strings.TrimPrefix(service, base+"/services/")
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		method, path, body string
		status             int
		exception, message string
	}{
		{"POST", base + "/services_composite/start", `{"services":[` + item("")[13:len(item(""))-2] + `,{"service":{"service_type":"s"},"state":{}}]}`, 400, "BadRequestException",
			`services[1].service.customer_id: mandatory where there is no contact_key, and both are missing`},
		{"POST", base + "/services_composite/start", `{"services":[{"service":{"customer_id":"","contact_key":null,"service_type":"s"},"state":{}}]}`, 400, "BadRequestException",
			`services[0].service.customer_id: mandatory where there is no contact_key, and both are missing`},
		{"POST", base + "/services_composite/start", `{"services":[{"service":{"customer_id":"d"},"state":{}}]}`, 400, "BadRequestException",
			`services[0].service.service_type: mandatory, and missing`},
		{"POST", base + "/services_composite/start", `{"services":[{"service":{"customer_id":"d","service_type":"s"},"state":{"state_type":"` + long + `"}}]}`, 400, "BadRequestException",
			`services[0].state.state_type: 300 bytes, the bound is 256: "` + long[:64] + `"…`},
		{"POST", base + "/services_composite/start", `{"services":[{"service":{"customer_id":"d","service_type":"s"},"state":{},"task":{"state_id":99}}]}`, 400, "BadRequestException",
			`services[0].task.state_id: 99 is not a state of the service`},
		{"POST", base + "/services/start", `{"service_type":"s"}`, 400, "BadRequestException", `customer_id: mandatory where there is no contact_key, and both are missing`},
		{"POST", base + "/services/start", `{"customer_id":"d","service_type":true}`, 400, "BadRequestException", `service_type: want a string or a 64-bit integer, got true`},
		{"POST", base + "/services/start", ``, 400, "BadRequestException", `not valid JSON: the body is empty`},
		{"POST", service + "/states/start", ``, 400, "BadRequestException", `not valid JSON: the body is empty`},
		{"POST", service + "/states/start", `{"previous_state_id":7}`, 400, "BadRequestException", `previous_state_id: 7 is not a state of the service`},
		{"POST", service + "/tasks/start", `{"state_id":4294967297}`, 400, "BadRequestException", `state_id: 4294967297 is not a state of the service`},
		{"POST", base + "/services/x/states/start", `{"state_type":[]}`, 400, "BadRequestException", `state_type: want a string or a 64-bit integer, got []`},
		{"POST", base + "/services/x/states/start", `{}`, 404, "NotFoundException", `service x does not exist`},
		{"POST", base + "/services/x/end", ``, 404, "NotFoundException", `service x does not exist`},
		{"POST", service + "/states/9/end", ``, 404, "NotFoundException", `state 9 of service ` + id + ` does not exist`},
		{"POST", service + "/tasks/99999999999/end", `{}`, 404, "NotFoundException", `task 99999999999 of service ` + id + ` does not exist`},
		{"GET", service + "?active_states=1", ``, 400, "BadRequestException", `active_states: want true or false, got "1"`},
		{"GET", base + "/customers/%zz/services", ``, 400, "BadRequestException", `path: bad percent-encoding "%zz" in %zz/services`},
		{"GET", base + "/services/start", ``, 405, "MethodNotAllowedException", `GET is not allowed here, only POST`},
		{"GET", base + "/nothing", ``, 404, "NotFoundException", `no such path: ` + base + `/nothing`},
		{"POST", base + "/services/start", `"` + strings.Repeat("x", 10_000) + `"`, 413, "PayloadTooLargeException", `a body of more than 10000 bytes, which is the bound`},
	} {
		raw := strings.Contains(c.path, "%zz")
		if raw {
			got := exchange(t, w.addr, "GET "+c.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			got.want(t, c.status, refusalBody(c.exception, c.message))
			continue
		}
		a := w.do(t, c.method, c.path, c.body).want(t, c.status, refusalBody(c.exception, c.message)).wantHeader(t, "Content-Type", "application/json")
		if t.Failed() {
			t.Fatalf("%s %s %.100s: %d", c.method, c.path, c.body, a.status)
		}
	}
	w.get(t, base+"/customers/d/services").want(t, 200, `\[\]`)
	w.get(t, base+"/customers/c/services").want(t, 200, `\[\{[^{]*\{[^{]*\}\}\]`)
	w.get(t, service+"/states").want(t, 200, `\[\]`)
	w.get(t, service+"/tasks").want(t, 200, `\[\]`)
}

// An id that cannot exist is not found, whatever it looks like and however it is asked for.
func TestImpossibleIDs(t *testing.T) {
	w := open(t, Options{})
	service := w.post(t, base+"/services/start", `{"customer_id":"c","service_type":"s"}`).header.Get("Location")
	w.post(t, service+"/states/start", `{}`).want(t, 201, `.*`)
	for _, id := range []string{"x", "-1", "+1", "0", "01", "1.0", "1e3", "0x1", "9007199254740991", "9007199254740992", "9223372036854775808",
		"99999999999999999999999", "0d5a8c1e-8a3f-4b62-9d0e-5a0f3e7c1b22", "%20", "%00", "%FF", "%D9%A1", "active", "..", "%2e%2e"} {
		w.get(t, base+"/services/"+strings.ReplaceAll(id, "..", "%2E%2E")).want(t, 404, `.*NotFoundException"\}`)
		w.post(t, base+"/services/"+strings.ReplaceAll(id, "..", "%2E%2E")+"/end", ``).want(t, 404, `.*NotFoundException"\}`)
		if id == "active" {
			continue
		}
		w.get(t, service+"/states/"+strings.ReplaceAll(id, "..", "%2E%2E")).want(t, 404, `.*NotFoundException"\}`)
		w.post(t, service+"/tasks/"+strings.ReplaceAll(id, "..", "%2E%2E")+"/end", `{}`).want(t, 404, `.*NotFoundException"\}`)
	}
}

// A path is cut before it is decoded: a customer may be called anything.
func TestCustomersMayBeCalledAnything(t *testing.T) {
	w := open(t, Options{})
	for id, encoded := range map[string]string{
		"a/b": "a%2Fb", "..": "%2e%2E", ".": "%2E", "a b": "a%20b", "a+b": "a+b", "é/ü": "%C3%A9%2f%C3%BC", "100%": "100%25",
		"?#&=;": "%3F%23&=;", "start": "start", "services": "services", "\x00\n\"": "%00%0A%22", "//": "%2F%2F",
	} {
		w.post(t, base+"/services/start", fmt.Sprintf(`{"customer_id":%s,"service_type":"s"}`, quoteJSON(id))).want(t, 201, `.*`)
		exchange(t, w.addr, "GET "+base+"/customers/"+encoded+"/services HTTP/1.1\r\nHost: x\r\n\r\n").
			want(t, 200, `\[\{.*"customer_id":`+regexp.QuoteMeta(quoteJSON(id))+`.*\}\]`)
	}
	exchange(t, w.addr, "GET "+base+"/customers/../services HTTP/1.1\r\nHost: x\r\n\r\n").want(t, 200, `\[.*\]`)
	exchange(t, w.addr, "GET "+base+"/customers//services HTTP/1.1\r\nHost: x\r\n\r\n").want(t, 404, `.*no such path.*`)
}

// A known path answers other methods with 405 and what it allows; HEAD is a GET without its
// body; a path of the API in capitals, or with a slash behind it, is unknown.
func TestMethods(t *testing.T) {
	w := open(t, Options{})
	service := w.post(t, base+"/services/start", `{"customer_id":"c","service_type":"s"}`).header.Get("Location")
	for path, allow := range map[string]string{
		"/services_composite/start":              "POST",
		"/services/start":                        "POST",
		"/services/1":                            "GET, HEAD, PUT, DELETE",
		"/services/1/states":                     "GET, HEAD",
		"/services/1/states/start":               "POST",
		"/services/1/states/active":              "GET, HEAD",
		"/services/1/states/2/end":               "POST",
		"/services/1/states/2":                   "GET, HEAD",
		"/services/1/states/transition":          "POST",
		"/services/1/extensions/x":               "PUT",
		"/services/1/tasks/2/extensions/x/merge": "PUT",
		"/services/1/extensions/merge":           "PUT",
		"/customers/c/services/1":                "POST",
		"/maintenance/purge":                     "POST",
		"/maintenance/services/stream":           "GET, HEAD",
		"/services/anonymous/k":                  "GET, HEAD",
		"/services/anonymous/start":              "GET, HEAD",
		"/customers/c/services/active":           "GET, HEAD",
		"/services%5Fcomposite/%73tart":          "POST",
	} {
		for _, method := range []string{"PATCH", "OPTIONS", "PROPFIND"} {
			w.do(t, method, base+path, ``).want(t, 405, `.*MethodNotAllowedException"\}`).wantHeader(t, "Allow", allow)
		}
	}
	get, head := w.get(t, service), w.do(t, "HEAD", service, "")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != fmt.Sprint(len(get.body)) {
		t.Errorf("HEAD: %d %q %v", head.status, head.body, head.header)
	}
	w.do(t, "HEAD", base+"/services/start", "").want(t, 405, ``)
	for _, path := range []string{"/", "/genesys", base, base + "/", base + "/services/start/", strings.ToUpper(base) + "/services/start", base + "/services/1/states/2/end/x", "/x" + strings.Repeat("/y", 50)} {
		w.post(t, path, `{}`).want(t, 404, `.*no such path.*NotFoundException"\}`)
	}
}

// A body is JSON when it is declared so, with any parameters, or not declared at all. What is
// wrong with its size comes before its kind, and its kind before its grammar.
func TestKindsOfBodies(t *testing.T) {
	w := open(t, Options{MaxBodyBytes: 1000})
	body := `{"customer_id":"c","service_type":"s"}`
	for _, kind := range []string{"application/json", "application/json;charset=utf-8", "Application/JSON ; charset=latin1", "application/vnd.x+json", ""} {
		headers := []string{"Content-Type", kind}
		if kind == "" {
			headers = nil
		}
		w.do(t, "POST", base+"/services/start", body, headers...).want(t, 201, `.*`)
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml", "text/json", "application/jsonx", "multipart/form-data; boundary=x", "image/svg+json"} {
		w.do(t, "POST", base+"/services/start", `not json`, "Content-Type", kind).
			want(t, 415, `\{"message":"Content-Type: want application/json, got .*UnsupportedMediaTypeException"\}`)
	}
	w.do(t, "POST", base+"/services/start", body, "Content-Encoding", "gzip").want(t, 415, `.*UnsupportedMediaTypeException"\}`)
	w.do(t, "POST", base+"/services/start", strings.Repeat("x", 2000), "Content-Type", "text/plain").want(t, 413, `.*`)
	w.do(t, "POST", base+"/services/x/end", `{`, "Content-Type", "text/plain").want(t, 415, `.*`)
	w.do(t, "POST", base+"/nothing", strings.Repeat("x", 2000), "Content-Type", "text/plain").want(t, 404, `.*`)
}

func quoteJSON(s string) string { return string(appendText(nil, "", s)[len(`,"":`):]) }
