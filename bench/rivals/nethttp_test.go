package rivals

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// serve serves the straightforward service until the test ends.
func serve(t *testing.T, dir string) (addr string) {
	t.Helper()
	addr, stop := serveUntil(t, dir)
	t.Cleanup(stop)
	return addr
}

func serveUntil(t *testing.T, dir string) (addr string, stop func()) {
	t.Helper()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveStore(ctx, s, l) }()
	return l.Addr().String(), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// What was answered is found after the server has ended and started again, new ids do not repeat
// old ones, and each event is stored as it came.
func TestNetHTTPReopened(t *testing.T) {
	dir := t.TempDir()
	want := item("anna", "Renew", "Identify", "Ask")
	ask := func() (outcome, outcome) {
		addr, stop := serveUntil(t, dir)
		defer stop()
		c, err := (&netHTTP{addr}).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return do(t, c.(conn), want)[0], do(t, c.(conn), item(t.Name()+dir, "Renew", "Identify", ""))[0]
	}
	first, _ := ask()
	second, _ := ask()
	if second != found(first) {
		t.Errorf("got %+v, want %+v", second, found(first))
	}

	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.start([]compositeItem{{Service: &event{eventHead{CustomerID: "ben", ServiceType: "Renew"}, []byte("{}")}, State: &event{raw: []byte("{}")}}})
	if err != nil || !o[0].serviceCreated || o[0].service <= first.service {
		t.Errorf("ben: got %+v, %v after %+v", o, err, first)
	}
	for kind, event := range [][]byte{want.ServiceJSON, want.StateJSON, want.TaskJSON} {
		id := []int64{0, first.state, first.task}[kind]
		b := s.db.NewBatch()
		if err := put(b, first.service, byte(kind), id, 0, nil); err != nil {
			t.Fatal(err)
		}
		r := b.Reader()
		_, key, _, _, _ := r.Next()
		value, closer, err := s.db.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		if string(value[1:]) != string(event) {
			t.Errorf("row %x: got %q, want %q", key, value[1:], event)
		}
		if associated := int64(value[0]); kind == int(taskRow) && associated != first.state {
			t.Errorf("row %x: state %d, want %d", key, associated, first.state)
		}
		closer.Close()
		b.Close()
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// A row that nobody wrote is refused by name.
func TestNetHTTPDamaged(t *testing.T) {
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{pebble.DefaultLogger}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set([]byte("odd"), []byte("row"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(dir); err == nil || !strings.Contains(err.Error(), "6f6464") {
		t.Errorf("got %v", err)
	}
}

// The page's example is answered as Switchboard answers it, and what is wrong is refused.
func TestNetHTTPContract(t *testing.T) {
	example, err := os.ReadFile("../../transport/testdata/composite_request.json")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + serve(t, t.TempDir()) + startPath
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{string(example), 200, `{"services":[{"service":{"service_id":1,"created":"true"},"state":{"state_id":1,"created":"true"},"task":{"task_id":2,"created":"true"}}]}`},
		{string(example), 200, `{"services":[{"service":{"service_id":1,"created":"false"},"state":{"state_id":1,"created":"false"},"task":{"task_id":2,"created":"false"}}]}`},
		{`{"services":[{"service":{"customer_id":"a","service_type":5},"state":{}}]}`, 200, `{"services":[{"service":{"service_id":2,"created":"true"},"state":{"state_id":1,"created":"true"}}]}`},
		{`{"services":[{"service":{"customer_id":"a","service_type":"5"},"state":{}}]}`, 200, `{"services":[{"service":{"service_id":2,"created":"false"},"state":{"state_id":1,"created":"false"}}]}`},
		{`{"services":[]}`, 400, "want 1 to 1000 items, got 0"},
		{`{"services":[{"state":{}}]}`, 400, "services[0].service: mandatory"},
		{`{"services":[{"service":{"customer_id":"a","service_type":1.5},"state":{}}]}`, 400, "got 1.5"},
		{`{"services":[{"service":{"customer_id":"a","service_type":1},"state":{},"associate_state_task":1}]}`, 400, "got 1"},
		{`{`, 400, "BadRequestException"},
	} {
		reply, err := http.Post(url, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if err := reply.Write(&got); err != nil {
			t.Fatal(err)
		}
		if reply.StatusCode != c.status || !strings.Contains(got.String(), c.want) {
			t.Errorf("%.200s: got %s, want %d and %s", c.body, got.String(), c.status, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
