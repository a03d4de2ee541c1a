package transport

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A client in JavaScript sees what the API promises it: bare arrays, oldest first, extensions
// beside the fields, and ids that a number of its language holds exactly.
func TestJavaScriptClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no client in JavaScript: node is not on PATH")
	}
	w := open(t, Options{})
	const customer = "Renée / 1"
	start := func(path, body string) (location string) {
		t.Helper()
		return w.post(t, path, body).want(t, 201, `.*`).header.Get("Location")
	}
	start(base+"/services/start", fmt.Sprintf(`{"customer_id":%q,"service_type":"Other","timestamp":"2016-05-18T15:23:34Z","StoryService":1}`, customer))
	ended := start(base+"/services/start", fmt.Sprintf(`{"customer_id":%q,"service_type":"Ended"}`, customer))
	w.post(t, ended+"/end", ``).want(t, 204, ``)
	service := start(base+"/services/start", fmt.Sprintf(`{"customer_id":%q,"service_type":"RenewCard","Other":1,"StoryService":{"title":"Renew a card","steps":[1,2.5]}}`, customer))
	start(service+"/states/start", `{"state_type":"Pay","StoryState":{"title":"Pay"},"timestamp":"2016-05-18T15:23:35Z"}`)
	start(service+"/states/start", `{"state_type":"Identify","StoryState":{"title":"Identify"},"timestamp":"2016-05-18T15:23:34Z"}`)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "testdata/client.js", "http://"+w.addr+base, customer,
		strings.TrimPrefix(service, base+"/services/"), "2,1").CombinedOutput()
	if got := string(out); err != nil || got != "2 services, 2 states\n" {
		t.Errorf("%v\n%s", err, got)
	}
}
