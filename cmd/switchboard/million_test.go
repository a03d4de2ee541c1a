package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

var customers = flag.Int("customers", 20_000, "customers that TestManyCustomers creates and finds again")

// Many customers (a million with -customers=1000000) are created, the process is killed, and
// the next one finds each of them with the ids that were answered.
func TestManyCustomers(t *testing.T) {
	const callers, together = 8, 500
	dir := filepath.Join(t.TempDir(), "data")
	answers := make([]string, *customers/together)
	each := func(base string, do func(batch int, reply string)) {
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				for batch := caller; batch < len(answers); batch += callers {
					var body strings.Builder
					for i := range together {
						fmt.Fprintf(&body, `,{"service":{"customer_id":"m%d","service_type":"MyService1","interaction_id":"123ABCAADFJ1259ACF"},"state":{"state_type":"MyState1"},"task":{"task_type":"MyTask1"}}`, batch*together+i)
					}
					status, reply, err := post(base, compositeStart, `{"services":[`+body.String()[1:]+`]}`)
					if err != nil || status != 200 {
						t.Errorf("batch %d: %d %.200s %v", batch, status, reply, err)
						return
					}
					do(batch, reply)
				}
			})
		}
		wg.Wait()
	}
	p := serving(t, dir)
	each(p.base, func(batch int, reply string) {
		if strings.Contains(reply, `"false"`) {
			t.Errorf("batch %d found what nobody created: %.200s", batch, reply)
		}
		answers[batch] = strings.ReplaceAll(reply, `"true"`, `"false"`)
	})
	_ = p.end(t, syscall.SIGKILL)
	p = serving(t, dir)
	t.Log(p.line)
	each(p.base, func(batch int, reply string) {
		if reply != answers[batch] {
			t.Errorf("batch %d: answered %.200s, found again %.200s", batch, answers[batch], reply)
		}
	})
}
