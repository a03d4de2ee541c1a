package bench

import (
	"bytes"
	_ "embed"
	"math/rand/v2"
	"strconv"
	"unsafe"
)

const (
	basePath      = "/genesys/1/cs"
	compositePath = basePath + "/services_composite/start"
	readQuery     = "/services/active?active_states=true&active_tasks=true&extensions=*,State.*,Task.*"

	// The types of the page's example.
	serviceType, stateType, taskType = "MyService1", "MyState1", "MyTask1"
)

//go:embed templates/composite.json
var compositeExample []byte

const smallExample = `{"services":[{"service":{"customer_id":"customer-1","service_type":"MyService1"},` +
	`"state":{"state_type":"MyState1"},"task":{"task_type":"MyTask1"},"associate_state_task":true}]}`

// The templates are cut once; all connections read them.
var (
	composites = map[string]composite{"page": cutComposite(compositeExample), "small": cutComposite([]byte(smallExample))}
	calls      = cutConversation(conversationExample)
)

// composite is a body up to its item, the item, and the rest.
type composite struct {
	opening []byte
	item    template
	closing []byte
}

func cutComposite(example []byte) composite {
	begin := bytes.IndexByte(example, '[') + 1
	begin += bytes.IndexByte(example[begin:], '{')
	end := begin + objectLength(example[begin:])
	return composite{example[:begin], newItemTemplate(example[begin:end]), example[end:]}
}

// A Generator makes the requests of one connection; one goroutine uses it. Once its buffers
// have grown it allocates nothing.
type Generator struct {
	workload Workload
	composite
	rand    *rand.Rand
	zipf    *rand.Zipf // nil where all customers are alike
	fill    filling
	conn    int
	made    int64 // customers that were new
	body    []byte
	path    []byte
	ids     []byte // of the request's customers
	request Request
	call    call
}

// Generator makes that of one connection.
func (w Workload) Generator(conn int) *Generator {
	draw := rand.NewPCG(w.Seed, uint64(conn))
	g := &Generator{workload: w, composite: composites[w.Body], rand: rand.New(draw), fill: filling{draw: draw}, conn: conn}
	if w.Skew != 0 {
		g.zipf = rand.NewZipf(g.rand, w.Skew, 1, uint64(w.Customers-1))
	}
	return g
}

// Next makes the next request, which is whole until Next is called again.
func (g *Generator) Next() *Request {
	w := &g.workload
	g.ids = g.ids[:0]
	switch w.Name {
	case "conversation":
		return g.nextOfCall()
	case "read":
		g.path = append(g.path[:0], basePath+"/customers/"...)
		g.path = g.appendKnown(g.path, g.known())
		g.path = append(g.path, readQuery...)
		g.request = Request{Method: "GET", Path: text(g.path)}
		return &g.request
	}
	g.begin()
	for range w.Items {
		from := len(g.ids)
		wants := Found
		if w.Name == "composite" && (w.Creating == 1 || g.rand.Float64() < w.Creating) {
			wants = Created
			g.ids = g.appendNew(g.ids)
		} else {
			g.ids = g.appendKnown(g.ids, g.known())
		}
		g.addItem(from, wants)
	}
	return g.end()
}

// Prepare makes the request that creates the known customers from first to before last.
func (g *Generator) Prepare(first, last int) *Request {
	g.ids = g.ids[:0]
	g.begin()
	for i := first; i < last; i++ {
		from := len(g.ids)
		g.ids = g.appendKnown(g.ids, i)
		g.addItem(from, Either)
	}
	return g.end()
}

func (g *Generator) begin() {
	g.request = Request{Method: "POST", Path: compositePath, Items: g.request.Items[:0]}
	g.body = append(g.body[:0], g.opening...)
}

// addItem adds one for the customer whose id stands in ids from there on.
func (g *Generator) addItem(from int, wants Want) {
	if len(g.request.Items) > 0 {
		g.body = append(g.body, ',')
	}
	g.fill.customer = g.ids[from:]
	g.body = g.item.append(g.body, &g.fill)
	at := &g.fill.events
	g.request.Items = append(g.request.Items, Item{
		Customer:    text(g.fill.customer),
		Service:     serviceType,
		State:       stateType,
		Task:        taskType,
		Wants:       wants,
		ServiceJSON: g.body[at[0]:at[1]],
		StateJSON:   g.body[at[2]:at[3]],
		TaskJSON:    g.body[at[4]:at[5]],
	})
}

func (g *Generator) end() *Request {
	g.body = append(g.body, g.closing...)
	g.request.Body = g.body
	return &g.request
}

// known draws a customer that was there before the run.
func (g *Generator) known() int {
	switch {
	case g.workload.Name == "hot":
		return 0
	case g.zipf != nil:
		return int(g.zipf.Uint64())
	}
	return g.rand.IntN(g.workload.Customers)
}

// appendKnown appends the id of a known customer, the same on every connection.
func (g *Generator) appendKnown(b []byte, i int) []byte {
	b = strconv.AppendUint(append(b, "known-"...), g.workload.Seed, 36)
	return strconv.AppendInt(append(b, '-'), int64(i), 10)
}

// appendNew appends an id that nobody had.
func (g *Generator) appendNew(b []byte) []byte {
	g.made++
	b = strconv.AppendUint(append(b, "new-"...), g.workload.Seed, 36)
	b = strconv.AppendInt(append(b, '-'), int64(g.conn), 10)
	return strconv.AppendInt(append(b, '-'), g.made, 10)
}

// text is b as a string without a copy: a Request is its caller's again once Do has returned,
// and only then is b written over.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
