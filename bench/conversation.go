package bench

import (
	"bytes"
	_ "embed"
)

// conversationExample is the conversation by which the manuals size a system, a request a line.
//
//go:embed templates/conversation.txt
var conversationExample []byte

// step is one request of it.
type step struct {
	method     string
	path, body template // body is nil for a read
}

// call is a caller who is somewhere in the conversation.
type call struct {
	step     int
	customer []byte
}

func cutConversation(example []byte) (steps []step) {
	for line := range bytes.Lines(example) {
		parts := bytes.SplitN(bytes.TrimSpace(line), []byte(" "), 3)
		s := step{method: string(parts[0]), path: newTemplate(append([]byte(basePath), parts[1]...))}
		if len(parts) > 2 {
			s.body = newTemplate(parts[2])
		}
		steps = append(steps, s)
	}
	return steps
}

// nextOfCall makes the request that the caller has come to. States and tasks are numbered by
// the service from 1 on, so that the template knows them; the service's id is heard.
func (g *Generator) nextOfCall() *Request {
	if g.call.step == 0 {
		g.call.customer = g.appendNew(g.call.customer[:0])
	}
	s := &calls[g.call.step]
	g.fill.customer = g.call.customer
	g.path = s.path.append(g.path[:0], &g.fill)
	g.request = Request{Method: s.method, Path: text(g.path)}
	if s.body != nil {
		g.body = s.body.append(g.body[:0], &g.fill)
		g.request.Body = g.body
	}
	return &g.request
}

// Heard tells of the answer: which service it named, 0 for none, and whether it was wanted. A
// caller who was refused hangs up, and the next one calls.
func (g *Generator) Heard(service int64, err error) {
	switch {
	case g.workload.Name != "conversation":
	case err != nil:
		g.call.step = 0
	default:
		if g.call.step == 0 {
			g.fill.service = service
		}
		g.call.step = (g.call.step + 1) % len(calls)
	}
}
