package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// load posts composite starts, each for a customer of its own, and remembers the answers.
type load struct {
	base, prefix string
	body         string // the page's example, with a mark for the customer

	stopping atomic.Bool
	callers  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	more    *sync.Cond
	answers map[string]string // customer -> reply
	refused []string          // other statuses
}

const exampleCustomer = "customer-1" // in the request of testdata

func newLoad(base string) *load {
	body, err := os.ReadFile("../../transport/testdata/composite_request.json")
	if err != nil {
		panic(err)
	}
	l := &load{base: base, prefix: "c", body: string(body), answers: map[string]string{}}
	l.more = sync.NewCond(&l.mu)
	return l
}

// run starts so many callers. Each ends at the first request that gets no answer.
func (l *load) run(callers int) {
	for caller := range callers {
		l.callers.Go(func() {
			for i := 0; !l.stopping.Load(); i++ {
				customer := fmt.Sprintf("%s-%d-%d", l.prefix, caller, i)
				status, reply, err := post(l.base, compositeStart, strings.Replace(l.body, exampleCustomer, customer, 1))
				if err != nil {
					return
				}
				l.mu.Lock()
				if status == 200 {
					l.answers[customer] = reply
				} else {
					l.refused = append(l.refused, fmt.Sprintf("%d %s", status, reply))
				}
				l.more.Signal()
				l.mu.Unlock()
			}
		})
	}
}

// await returns once there are so many answers.
func (l *load) await(answers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.answers) < answers {
		l.more.Wait()
	}
}

func (l *load) stop() {
	l.stopping.Store(true)
	l.callers.Wait()
}

// verify asks for every answer again, many to a request: all must be found, with the ids
// that were answered.
func (l *load) verify(t *testing.T, base string) {
	t.Helper()
	const together = 200
	var items, want []string
	flush := func() {
		if len(items) == 0 {
			return
		}
		status, reply, err := post(base, compositeStart, `{"services":[`+strings.Join(items, ",")+`]}`)
		expected := `{"services":[` + strings.ReplaceAll(strings.Join(want, ","), `"true"`, `"false"`) + `]}`
		if err != nil || status != 200 || reply != expected {
			t.Errorf("answered\n%s\nfound again (%d, %v)\n%s", expected, status, err, reply)
		}
		items, want = items[:0], want[:0]
	}
	for customer, reply := range l.answers {
		items = append(items, fmt.Sprintf(`{"service":{"customer_id":%q,"service_type":"MyService1"},"state":{"state_type":"MyState1"},"task":{"task_type":"MyTask1"}}`, customer))
		want = append(want, strings.TrimSuffix(strings.TrimPrefix(reply, `{"services":[`), `]}`))
		if len(items) == together {
			flush()
		}
	}
	flush()
}
