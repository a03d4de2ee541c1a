package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/switchboard-cs/switchboard/engine"
)

// Of a panic in a handler the client sees a 500 without its details, and the process lives.
func TestPanic(t *testing.T) {
	w := open(t, Options{})
	logged := make(chan string, 1)
	w.options.Logf = func(format string, args ...any) { logged <- fmt.Sprintf(format, args...) }
	w.routes = append(w.routes, compile([]operation{{method: "GET", path: "/panic", run: func(*call) error { panic("secret") }}})...)
	w.get(t, "/panic").want(t, 500, refusalBody("InternalServerErrorException", "internal error"))
	if text := <-logged; !strings.Contains(text, "secret") {
		t.Errorf("logged %s", text)
	}
	w.get(t, "/healthz").want(t, 200, `alive`)
}

// Every kind of error has its status and exception, and only a refusal's own words leave the
// house.
func TestKindsOfErrors(t *testing.T) {
	s := New(Options{})
	wrapped := func(kind error) error { return fmt.Errorf("/secret/path: %w", kind) }
	for _, c := range []struct {
		err       error
		status    int
		exception string
		message   string
	}{
		{&engine.Error{Kind: engine.ErrInvalid, Place: "a.b", Reason: "wrong"}, 400, "BadRequestException", "a.b: wrong"},
		{&engine.Error{Kind: engine.ErrNotFound, Reason: "service 1 does not exist"}, 404, "NotFoundException", "service 1 does not exist"},
		{wrapped(engine.ErrOverloaded), 503, "OverloadedException", engine.ErrOverloaded.Error()},
		{wrapped(engine.ErrUnknownOutcome), 503, "OverloadedException", engine.ErrUnknownOutcome.Error()},
		{wrapped(engine.ErrClosed), 503, "OverloadedException", engine.ErrClosed.Error()},
		{wrapped(engine.ErrNoSpace), 507, "InsufficientStorageException", engine.ErrNoSpace.Error()},
		{wrapped(engine.ErrInternal), 500, "InternalServerErrorException", "internal error"},
		{errors.New("secret"), 500, "InternalServerErrorException", "internal error"},
	} {
		status, exception, message := s.describe(c.err)
		if status != c.status || exception != c.exception || message != c.message {
			t.Errorf("%v: %d %s %q", c.err, status, exception, message)
		}
	}
	if got := string(appendError(nil, "a\"\n\xff", "X")); got != `{"message":"a\"\n`+"\ufffd"+`","exception":"`+exceptionPrefix+`X"}` {
		t.Errorf("got %s", got)
	}
}

// A deadline ends when its time has come, and one that did not end is used again.
func TestDeadline(t *testing.T) {
	ds := &deadlines{after: time.Millisecond, now: time.Now}
	d := ds.start()
	var ctx context.Context = d
	<-ctx.Done()
	if at, ok := ctx.Deadline(); ctx.Err() != context.DeadlineExceeded || !ok || at.After(time.Now()) || ctx.Value(0) != nil {
		t.Errorf("%v, %v", ctx.Err(), at)
	}
	ds.stop(d)
	if again := ds.start(); again == d {
		t.Error("an ended deadline is used again")
	}
	ds.after = time.Hour
	d = ds.start()
	ds.stop(d)
	if err := d.Err(); err != nil {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(100, func() { ds.stop(ds.start()) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// A request that is past its deadline, since the disk takes too long, is answered with a 503, and
// the connection serves on.
func TestPastTheDeadline(t *testing.T) {
	leavesNothing(t)
	var stalled atomic.Bool
	goOn := make(chan struct{})
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if stalled.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			<-goOn
		}
		return nil
	}))
	w := openOn(t, engine.Options{FS: fs, Dir: "data"}, Options{Deadline: time.Millisecond})
	t.Cleanup(w.close)
	t.Cleanup(func() { close(goOn) })
	stalled.Store(true)
	l := dial(t, w.addr)
	l.send(t, startRequest("c", "")).read(t).want(t, 503, `.*OverloadedException"\}`).wantHeader(t, "Retry-After", "1")
	l.send(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").read(t).want(t, 200, `alive`)
}

// BenchmarkCompositeStart is the main operation over a socket, as an agent's desktop sends
// it: the triple is found.
func BenchmarkCompositeStart(b *testing.B) {
	w := open(b, Options{})
	body := readFile(b, "composite_request.json")
	request := fmt.Sprintf("POST %s/services_composite/start HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", base, len(body), body)
	l := dial(b, w.addr)
	l.send(b, request).read(b).want(b, 200, `.*"created":"true".*`)
	_ = l.SetDeadline(time.Time{})
	sent, answer := []byte(request), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Write(sent); err != nil {
			b.Fatal(err)
		}
		if n, err := l.Read(answer); err != nil || string(answer[:12]) != "HTTP/1.1 200" {
			b.Fatal(err, string(answer[:n]))
		}
	}
}
