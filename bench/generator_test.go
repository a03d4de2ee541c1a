package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"testing"

	"github.com/klauspost/compress/s2"
)

func newWorkload(name string) Workload {
	return Workload{Name: name, Seed: 7, Creating: 1, Customers: 1_000, Items: 1, Body: "page"}
}

// The templates are the contract's own examples.
func TestTemplatesAreTheExamples(t *testing.T) {
	example, err := os.ReadFile("../transport/testdata/composite_request.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(example, compositeExample) {
		t.Error("templates/composite.json is not transport/testdata/composite_request.json")
	}
	sizing, err := os.ReadFile("../transport/testdata/api/sizing.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for _, m := range regexp.MustCompile(`(?m)^send\n((?:GET|POST) \S+)\n(?:\n(\{.*\})\n)?----`).FindAllSubmatch(sizing, -1) {
		line := regexp.MustCompile(`/services/\d+`).ReplaceAll(m[1], []byte("/services/{service}"))
		want.Write(bytes.TrimSpace(append(append(line, ' '), m[2]...)))
		want.WriteByte('\n')
	}
	if !bytes.Equal(want.Bytes(), conversationExample) {
		t.Error("templates/conversation.txt is not what transport/testdata/api/sizing.txt sends")
	}
	if len(calls) != 33 {
		t.Errorf("%d requests, the manuals have 33", len(calls))
	}
}

// Every body is JSON that says for each item what the Item says, and no two that create are alike.
func TestBodiesAreWhatTheItemsSay(t *testing.T) {
	for _, about := range Bodies {
		t.Run(about[0], func(t *testing.T) { testBodies(t, about[0]) })
	}
}

func testBodies(t *testing.T, name string) {
	w := newWorkload("composite")
	w.Items, w.Creating, w.Body = 3, 0.5, name
	g := w.Generator(2)
	seen := map[string]bool{}
	for range 200 {
		r := g.Next()
		var body struct {
			Services []struct{ Service, State, Task json.RawMessage }
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatalf("%v in\n%s", err, r.Body)
		}
		if len(body.Services) != 3 || len(r.Items) != 3 {
			t.Fatalf("%d items in the body and %d beside it, want 3", len(body.Services), len(r.Items))
		}
		for i, item := range r.Items {
			said := body.Services[i]
			if !bytes.Equal(said.Service, item.ServiceJSON) || !bytes.Equal(said.State, item.StateJSON) || !bytes.Equal(said.Task, item.TaskJSON) {
				t.Fatalf("item %d is not what the body says", i)
			}
			var service struct {
				Customer string `json:"customer_id"`
				Type     string `json:"service_type"`
			}
			if err := json.Unmarshal(item.ServiceJSON, &service); err != nil || service.Customer != item.Customer || service.Type != item.Service {
				t.Fatalf("the body has %+v (%v), the item %q and %q", service, err, item.Customer, item.Service)
			}
		}
		if seen[string(r.Body)] && name == "page" {
			t.Fatal("a body came twice")
		}
		seen[string(r.Body)] = true
	}
}

// Every request of a conversation is JSON below the path of the service that was heard of.
func TestConversationFollowsTheService(t *testing.T) {
	g := newWorkload("conversation").Generator(0)
	customers := map[string]bool{}
	for range 2 {
		for i := range 33 {
			r := g.Next()
			if r.Body != nil && !json.Valid(r.Body) {
				t.Fatalf("request %d: no JSON: %s", i, r.Body)
			}
			if i == 0 {
				customers[string(member(r.Body, "customer_id"))] = true
			} else if i < 32 && !bytes.Contains([]byte(r.Path), []byte("/services/4242/")) {
				t.Fatalf("request %d goes to %s", i, r.Path)
			}
			g.Heard(4242, nil)
		}
	}
	if len(customers) != 2 {
		t.Errorf("two calls were of %v", customers)
	}
	g.Next()
	g.Heard(1, nil)
	g.Next()
	g.Heard(0, &StatusError{503})
	if r := g.Next(); r.Path != basePath+"/services/start" {
		t.Errorf("after a refusal comes %s, want a new call", r.Path)
	}
}

// A seed draws the same requests again; connections share known customers and no new ones.
func TestSeedDecides(t *testing.T) {
	w := newWorkload("composite")
	if a, b := w.Generator(1).Next().Body, w.Generator(1).Next().Body; !bytes.Equal(a, b) {
		t.Error("one seed, two bodies")
	}
	news := map[string]bool{}
	for conn := range 4 {
		g := w.Generator(conn)
		for range 50 {
			news[string([]byte(g.Next().Items[0].Customer))] = true
		}
	}
	if len(news) != 200 {
		t.Errorf("%d new customers of 200 requests", len(news))
	}
	if a, b := w.Generator(1).Prepare(5, 6).Items[0].Customer, w.Generator(3).Prepare(5, 6).Items[0].Customer; a != b {
		t.Errorf("customer 5 is %q on one connection, %q on another", a, b)
	}
}

// Frames of thirteen bodies shrink as varied traffic does: far less than copies of one body, far
// more than noise.
func TestBodiesCompressLikeTraffic(t *testing.T) {
	g := newWorkload("composite").Generator(0)
	var plain, packed int
	for range 20 {
		var frame []byte
		for range 13 {
			var compact bytes.Buffer
			if err := json.Compact(&compact, g.Next().Body); err != nil {
				t.Fatal(err)
			}
			frame = append(frame, compact.Bytes()...)
		}
		plain += len(frame)
		packed += len(s2.Encode(nil, frame))
	}
	ratio := float64(plain) / float64(packed)
	t.Logf("s2 on frames of 13 bodies without white space: %d B a body, %d packed, %.1f : 1", plain/260, packed/260, ratio)
	if ratio < 2.5 || ratio > 6 {
		t.Errorf("the ratio is %.1f, want 2.5 to 6", ratio)
	}
}

// Uniform customers come equally often; by Zipf's law the first is as frequent as the law says.
func TestDistributions(t *testing.T) {
	const draws = 100_000
	count := func(w Workload) []int {
		g, n := w.Generator(0), make([]int, w.Customers)
		for range draws {
			n[g.known()]++
		}
		return n
	}
	w := newWorkload("found")
	w.Customers = 100
	for i, n := range count(w) {
		if math.Abs(float64(n)-draws/100) > 200 {
			t.Errorf("customer %d was drawn %d times, want about %d", i, n, draws/100)
		}
	}
	w.Skew = 1.5
	total := 0.0
	for i := range w.Customers {
		total += math.Pow(float64(1+i), -w.Skew)
	}
	for i, n := range count(w)[:3] {
		if want := draws * math.Pow(float64(1+i), -w.Skew) / total; math.Abs(float64(n)-want) > want/20 {
			t.Errorf("customer %d was drawn %d times, want about %.0f", i, n, want)
		}
	}
	w = newWorkload("composite")
	w.Creating = 0.25
	g, created := w.Generator(0), 0
	for range 4_000 {
		if bytes.HasPrefix([]byte(g.Next().Items[0].Customer), []byte("new-")) {
			created++
		}
	}
	if created < 900 || created > 1_100 {
		t.Errorf("%d of 4000 create, want about 1000", created)
	}
}

// Making a request allocates nothing once the buffers have grown.
func TestGeneratorAllocatesNothing(t *testing.T) {
	for _, about := range Workloads {
		w := newWorkload(about[0])
		w.Creating, w.Skew, w.Items = 0.5, 1.2, 3
		g := w.Generator(0)
		step := func() { g.Next(); g.Heard(1<<40, nil) }
		for range 200 {
			step()
		}
		if n := testing.AllocsPerRun(500, step); n != 0 {
			t.Errorf("%s: %v allocations a request", w.Name, n)
		}
	}
}

func TestWorkloadChecks(t *testing.T) {
	for _, wrong := range []func(*Workload){
		func(w *Workload) { w.Name = "nothing" },
		func(w *Workload) { w.Creating = 1.5 },
		func(w *Workload) { w.Customers = 0 },
		func(w *Workload) { w.Skew = 1 },
		func(w *Workload) { w.Items = MaxItems + 1 },
		func(w *Workload) { w.Body = "large" },
	} {
		w := newWorkload("composite")
		if wrong(&w); w.Check() == nil {
			t.Errorf("%+v passes", w)
		}
	}
	if err := newWorkload("hot").Check(); err != nil {
		t.Error(err)
	}
}

func BenchmarkGenerator(b *testing.B) {
	for _, about := range Workloads {
		b.Run(fmt.Sprint(about[0]), func(b *testing.B) {
			g := newWorkload(about[0]).Generator(0)
			b.ReportAllocs()
			for b.Loop() {
				g.Next()
				g.Heard(1, nil)
			}
		})
	}
}
