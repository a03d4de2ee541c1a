package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// line is a client's connection, byte by byte.
type line struct {
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, addr string) *line {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &line{c, bufio.NewReader(c)}
}

func (l *line) send(t testing.TB, text string) *line {
	t.Helper()
	if _, err := io.WriteString(l, text); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *line) read(t testing.TB) answer { t.Helper(); return l.readTo(t, http.MethodGet) }

// readTo reads the answer to a request of that method: HEAD's has no body.
func (l *line) readTo(t testing.TB, method string) answer {
	t.Helper()
	response, err := http.ReadResponse(l.in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.Close {
		response.Header.Set("Connection", "close") // ReadResponse takes it away
	}
	return answer{response.StatusCode, response.Header, string(b)}
}

// closed checks that the server ends the connection without another byte.
func (l *line) closed(t testing.TB) {
	t.Helper()
	if b, err := io.ReadAll(l.in); err != nil || len(b) > 0 {
		t.Errorf("the connection is not closed: %q, %v", b, err)
	}
}

func exchange(t testing.TB, addr, text string) answer {
	t.Helper()
	l := dial(t, addr).send(t, text)
	defer l.Close()
	return l.read(t)
}

func startRequest(customer, more string) string {
	body := fmt.Sprintf(`{"customer_id":%q,"service_type":"s"%s}`, customer, more)
	return fmt.Sprintf("POST %s/services/start HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", base, len(body), body)
}

// Requests sent all at once on one connection are answered in their order, each with its own
// answer, good ones and refused ones alike.
func TestPipelinedRequestsGetTheirOwnAnswers(t *testing.T) {
	w := open(t, Options{})
	var all strings.Builder
	for i := range 50 {
		all.WriteString(startRequest(fmt.Sprintf("p%d", i), ""))
		all.WriteString(startRequest("refused", `,"ttl":0`))
		fmt.Fprintf(&all, "GET %s/customers/p%d/services HTTP/1.1\r\nHost: x\r\n\r\n", base, i)
		fmt.Fprintf(&all, "GET /nothing/%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
	}
	l := dial(t, w.addr)
	sent := make(chan error, 1)
	go func() { _, err := io.WriteString(l, all.String()); sent <- err }()
	for i := range 50 {
		l.read(t).want(t, 201, `\{"service_id":\d+\}`)
		l.read(t).want(t, 400, `.*ttl: want an integer of at least 1, got 0.*`)
		l.read(t).want(t, 200, fmt.Sprintf(`\[\{"service_id":\d+,"service_type":"s","customer_id":"p%d",.*\}\]`, i))
		l.read(t).want(t, 404, fmt.Sprintf(`.*no such path: /nothing/%d".*`, i))
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// A connection serves on after a refusal whose body was read or came along with the headers,
// and is closed, with the answer delivered, after one whose body was not.
func TestConnectionAfterARefusal(t *testing.T) {
	w := open(t, Options{MaxBodyBytes: 20_000})
	l := dial(t, w.addr)
	l.send(t, startRequest("c", `,"ttl":0`)).read(t).want(t, 400, `.*`)
	l.send(t, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"+strings.Repeat("x", 100)).read(t).want(t, 404, `.*`)
	l.send(t, "POST "+base+"/services/start HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n"+strings.Repeat("x", 20_000)).read(t).want(t, 400, `.*`)
	l.send(t, startRequest("c", "")).read(t).want(t, 201, `.*`)
	l.send(t, "POST "+base+"/services/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"+strings.Repeat("x", 2_000_000))
	l.read(t).want(t, 413, refusalBody("PayloadTooLargeException", "a body of more than 20000 bytes, which is the bound")).wantHeader(t, "Connection", "close")
	l.closed(t)

	l = dial(t, w.addr)
	l.send(t, "POST "+base+"/services/start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 30 {
		l.send(t, "400\r\n"+strings.Repeat("x", 1024)+"\r\n")
	}
	l.read(t).want(t, 413, `.*more than 20000 bytes.*`)
	l.closed(t)

	l = dial(t, w.addr)
	l.send(t, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n"+strings.Repeat("x", prefetchedBytes)).read(t).want(t, 404, `.*`)
	l.closed(t)
}

// A chunked body is taken as it comes, in pieces of any size, and so is one that drips.
func TestChunkedAndDrippingBodies(t *testing.T) {
	w := open(t, Options{})
	body := `{"customer_id":"c","service_type":"s","x":"` + strings.Repeat("y", 30_000) + `"}`
	l := dial(t, w.addr).send(t, "POST "+base+"/services/start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	var chunked strings.Builder
	for rest, n := body, 1; len(rest) > 0; n = n*2 + 1 {
		n = min(n, len(rest))
		fmt.Fprintf(&chunked, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	l.send(t, chunked.String()+"0\r\n\r\n").read(t).want(t, 201, `.*`)
	request := startRequest("c", `,"x":"`+strings.Repeat("y", 200)+`"`)
	for i := range len(request) {
		l.send(t, request[i:i+1])
	}
	l.read(t).want(t, 201, `.*`)
	head, waited, _ := strings.Cut(startRequest("expecting", ""), "\r\n\r\n")
	l.send(t, head+"\r\nExpect: 100-continue\r\n\r\n").read(t).want(t, 100, ``)
	l.send(t, waited).read(t).want(t, 201, `.*`)
	w.get(t, base+"/customers/c/services?extensions=x").want(t, 200, `\[\{.*"x":"y{1000}y{1000}.*\},\{.*"x":"y{200}"\}\]`)
}

// A body that ends early or stops coming is no request, though what came of it is whole JSON:
// nothing of it is stored.
func TestBodiesThatEndEarlyStoreNothing(t *testing.T) {
	w := open(t, Options{ReadTimeout: 300 * time.Millisecond})
	body := `{"customer_id":"c","service_type":"s"}`
	padded := body + strings.Repeat(" ", 10_000)
	for _, text := range []string{
		"Content-Length: 1000\r\n\r\n" + body,
		"Content-Length: 20000\r\n\r\n" + body,
		"Content-Length: 20000\r\n\r\n" + padded,
		"Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(body), body),
		"Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s", len(body)+1, body),
		"Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\nxyz\r\n", len(body), body),
		"Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(body), body),
	} {
		head := "POST " + base + "/services/start HTTP/1.1\r\nHost: x\r\n"
		gone := dial(t, w.addr).send(t, head+text)
		_ = gone.Conn.(*net.TCPConn).CloseWrite()
		a := gone.read(t)
		if a.status != 400 {
			t.Errorf("%.80q and gone: %d %s", text, a.status, a.body)
		}
		silent := dial(t, w.addr).send(t, head+text)
		if a := silent.read(t); a.status != 408 && a.status != 400 {
			t.Errorf("%.80q and silent: %d %s", text, a.status, a.body)
		}
		silent.closed(t)
	}
	w.get(t, base+"/customers/c/services").want(t, 200, `\[\]`)
}

// Headers may drip, but not for ever, and not without bound; what is no HTTP is told so in the
// form of every error.
func TestBrokenHeaders(t *testing.T) {
	w := open(t, Options{ReadTimeout: 300 * time.Millisecond})
	timeout := refusalBody("RequestTimeoutException", "the request did not arrive in time")
	l := dial(t, w.addr).send(t, "GET "+base+"/services/1 HT")
	l.read(t).want(t, 408, timeout)
	l.closed(t)

	l = dial(t, w.addr).send(t, "GET "+base+"/services/1 HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 20_000)+"\r\n\r\n")
	l.read(t).want(t, 431, refusalBody("RequestHeaderFieldsTooLargeException", "request line and headers of more than 16384 bytes, which is the bound"))

	for _, text := range []string{"HELLO\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nSecret : y\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"} {
		l := dial(t, w.addr).send(t, text)
		l.read(t).want(t, 400, refusalBody("BadRequestException", errNotHTTP.Error()))
		l.closed(t)
	}
}

// A client that still sends headers past their bound sees the refusal, not a reset.
func TestRefusalOfLongHeadersArrives(t *testing.T) {
	w := open(t, Options{})
	l := dial(t, w.addr).send(t, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	l.read(t).want(t, 431, `.*`)
	l.closed(t)
}

// A connection on which nothing was ever sent is closed without an answer that nobody asked for.
func TestSilentConnectionIsClosedSilently(t *testing.T) {
	w := open(t, Options{ReadTimeout: 100 * time.Millisecond})
	dial(t, w.addr).closed(t)
}

// A body past a bound that is lower than what comes with the headers is refused, and the
// connection closed with the answer delivered, however much of it is never sent.
func TestBodyPastALowBound(t *testing.T) {
	w := open(t, Options{MaxBodyBytes: 100})
	l := dial(t, w.addr).send(t, "POST "+base+"/services/start HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"+strings.Repeat("x", 200))
	l.read(t).want(t, 413, `.*more than 100 bytes.*`).wantHeader(t, "Connection", "close")
	l.closed(t)
}

// A thousand connections that announce a mebibyte each, and send little of it, cost what they
// sent; and when large bodies do arrive, their sum is bounded, and given back.
func TestAnnouncedBodiesCostNothing(t *testing.T) {
	w := open(t, Options{BodyBudgetBytes: 100_000})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const clients = 1_000
	lines := make([]*line, clients)
	for i := range lines {
		lines[i] = dial(t, w.addr).send(t, "POST "+base+"/services/start HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n{")
	}
	w.get(t, "/healthz").want(t, 200, `alive`)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > clients*100<<10 {
		t.Errorf("%d bytes for %d connections", grown, clients)
	}
	for _, l := range lines {
		_ = l.Close()
	}

	large := `{"customer_id":"c","service_type":"s","x":"` + strings.Repeat("y", 200_000) + `"}`
	w.post(t, base+"/services/start", large).want(t, 503, refusalBody("OverloadedException", errBodyBudget.Error())).wantHeader(t, "Retry-After", "1")
	if used := w.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes of the budget are not given back", used)
	}
	w.post(t, base+"/services/start", strings.Replace(large, strings.Repeat("y", 150_000), "", 1)).want(t, 201, `.*`)
}

// Before there is an engine, and again from Drain on, business requests are refused with a
// time to come back, and whoever asks is told that the node is offline.
func TestBeforeTheEngineAndWhileDraining(t *testing.T) {
	w := open(t, Options{})
	ready := w.backend.Load()
	offline := func() {
		t.Helper()
		w.post(t, base+"/services_composite/start", `{}`).
			want(t, 503, refusalBody("OverloadedException", errUnavailable.Error())).wantHeader(t, "Retry-After", "1")
		w.get(t, base+"/services/1").want(t, 503, `.*`)
		w.get(t, base+"/nothing").want(t, 404, `.*`)
		w.get(t, "/readyz").want(t, 503, `.*`).wantHeader(t, "Retry-After", "1")
		w.get(t, "/healthz").want(t, 200, `alive`)
		w.get(t, "/genesys/1/admin/node/status").want(t, 200, `OFFLINE`).wantHeader(t, "Content-Type", contentTypeText)
	}
	w.backend.Store(nil)
	offline()
	w.backend.Store(ready)
	w.get(t, "/readyz").want(t, 200, `ready`)
	w.get(t, "/genesys/1/admin/node/status").want(t, 200, `ONLINE`)
	w.Drain()
	offline()
	l := dial(t, w.addr).send(t, startRequest("c", ""))
	l.read(t).want(t, 503, `.*`).wantHeader(t, "Connection", "close")
	l.closed(t)
}

// Shutdown closes idle connections at once, waits for the request in flight and answers it,
// and tells one that is still arriving that we are draining, and whoever comes meanwhile.
func TestShutdownAnswersWhatIsInFlight(t *testing.T) {
	w := open(t, Options{})
	idle := dial(t, w.addr).send(t, startRequest("c", ""))
	idle.read(t).want(t, 201, `.*`)
	untouched := dial(t, w.addr)
	arriving := dial(t, w.addr).send(t, "GET "+base+"/services/1 HTTP/1.1\r\nHo")

	inside, leave := make(chan struct{}), make(chan struct{})
	w.routes = append(w.routes, compile([]operation{{method: "GET", path: "/wait", run: func(c *call) error {
		close(inside)
		<-leave
		return c.text("answered")
	}}})...)
	inFlight := dial(t, w.addr).send(t, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	<-inside
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(context.Background()) }()
	idle.closed(t)
	arriving.read(t).want(t, 503, `.*OverloadedException"\}`)
	select {
	case err := <-done:
		t.Errorf("shut down, %v, with a request in flight", err)
	default:
	}
	dial(t, w.addr).send(t, "GET /genesys/1/admin/node/status HTTP/1.1\r\nHost: x\r\n\r\n").
		read(t).want(t, 200, `OFFLINE`).wantHeader(t, "Connection", "close")
	dial(t, w.addr).send(t, startRequest("c", "")).read(t).want(t, 503, `.*`).wantHeader(t, "Retry-After", "1")
	silent := dial(t, w.addr) // nobody waits for it
	close(leave)
	inFlight.read(t).want(t, 200, `answered`).wantHeader(t, "Connection", "close")
	inFlight.closed(t)
	untouched.closed(t)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := silent.in.ReadByte(); err == nil {
		t.Error("a connection is open after the shutdown")
	}
	if _, err := net.Dial("tcp", w.addr); err == nil {
		t.Error("still listening")
	}
}

// A client that stalls in the middle of a long body holds a shutdown no longer than one that
// stalls in its headers, and is told that we are draining.
func TestShutdownDoesNotWaitForAStalledBody(t *testing.T) {
	w := open(t, Options{})
	before := w.budget.used.Load()
	stalled := dial(t, w.addr).send(t, "POST "+base+"/services/start HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n"+strings.Repeat(" ", 20_000))
	for w.budget.used.Load() == before { // until the handler has begun to read
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // far less than ReadTimeout
	defer cancel()
	if err := w.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	stalled.read(t).want(t, 503, `.*OverloadedException"\}`)
}

// A chunked body broken off while draining is told that we are draining, too.
func TestBrokenChunkWhileDraining(t *testing.T) {
	w := open(t, Options{})
	inside := make(chan struct{})
	w.routes = append(w.routes, compile([]operation{{method: "POST", path: "/body", run: func(c *call) error {
		close(inside)
		_, err := c.readBody()
		return err
	}}})...)
	stalled := dial(t, w.addr).send(t, "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")
	<-inside
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	stalled.read(t).want(t, 503, `.*OverloadedException"\}`)
}

// A shutdown that may not take longer cuts off what is left.
func TestShutdownGivesUpWithItsContext(t *testing.T) {
	w := open(t, Options{})
	inside, leave := make(chan struct{}), make(chan struct{})
	w.routes = append(w.routes, compile([]operation{{method: "GET", path: "/wait", run: func(c *call) error {
		close(inside)
		<-leave
		return nil
	}}})...)
	l := dial(t, w.addr).send(t, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	<-inside
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := io.ReadAll(l.in); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	close(leave)
}

// A connection past the bound is refused in the form of every error, and the place of one
// that went is free again.
func TestConnectionsAreBounded(t *testing.T) {
	w := open(t, Options{MaxConnections: 2})
	first, second := dial(t, w.addr), dial(t, w.addr)
	first.send(t, startRequest("c", "")).read(t).want(t, 201, `.*`)
	second.send(t, startRequest("c", "")).read(t).want(t, 201, `.*`)
	third := dial(t, w.addr).send(t, startRequest("c", "")) // in vain, and yet the answer arrives
	third.read(t).want(t, 503, refusalBody("OverloadedException", errConnections.Error())).wantHeader(t, "Retry-After", "1")
	third.closed(t)
	_ = first.Close()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		l := dial(t, w.addr).send(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		response, err := http.ReadResponse(l.in, nil)
		_ = l.Close()
		if err == nil && response.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no place became free")
		}
	}
}
