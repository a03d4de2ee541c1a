package transport

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

const base = "/genesys/1/cs"

// operation is one row of the API. A segment of its path in braces is a parameter.
type operation struct {
	method string
	path   string
	run    func(*call) error
	// always: answered without an engine, while draining, and to whoever asks.
	always bool
}

// operations is the API. Dispatch, 404, 405 and its Allow header follow from it.
var operations = []operation{
	{method: "POST", path: base + "/services_composite/start", run: (*call).compositeStart},

	{method: "POST", path: base + "/services/start", run: (*call).startService},
	{method: "POST", path: base + "/services/{id}/end", run: (*call).endService},
	{method: "POST", path: base + "/customers/{customer_id}/services/{id}", run: (*call).associate},
	{method: "POST", path: base + "/services/{id}/states/start", run: (*call).startState},
	{method: "POST", path: base + "/services/{id}/states/{sid}/end", run: (*call).endState},
	{method: "POST", path: base + "/services/{id}/states/transition", run: (*call).transition},
	{method: "POST", path: base + "/services/{id}/tasks/start", run: (*call).startTask},
	{method: "POST", path: base + "/services/{id}/tasks/{tid}/end", run: (*call).endTask},

	{method: "PUT", path: base + "/services/{id}/extensions/{name}", run: replaceExtension(ofService)},
	{method: "PUT", path: base + "/services/{id}/extensions/{name}/merge", run: mergeExtension(ofService)},
	{method: "PUT", path: base + "/services/{id}/states/{sid}/extensions/{name}", run: replaceExtension(ofState)},
	{method: "PUT", path: base + "/services/{id}/states/{sid}/extensions/{name}/merge", run: mergeExtension(ofState)},
	{method: "PUT", path: base + "/services/{id}/tasks/{tid}/extensions/{name}", run: replaceExtension(ofTask)},
	{method: "PUT", path: base + "/services/{id}/tasks/{tid}/extensions/{name}/merge", run: mergeExtension(ofTask)},

	{method: "GET", path: base + "/services/{id}", run: (*call).readService},
	{method: "PUT", path: base + "/services/{id}", run: (*call).setExpiration},
	{method: "DELETE", path: base + "/services/{id}", run: (*call).deleteService},
	{method: "GET", path: base + "/services/{id}/states", run: readStates(engine.AnyPhase)},
	{method: "GET", path: base + "/services/{id}/states/active", run: readStates(engine.Active)},
	{method: "GET", path: base + "/services/{id}/states/completed", run: readStates(engine.Completed)},
	{method: "GET", path: base + "/services/{id}/states/{sid}", run: (*call).readState},
	{method: "GET", path: base + "/services/{id}/tasks", run: readTasks(engine.AnyPhase)},
	{method: "GET", path: base + "/services/{id}/tasks/active", run: readTasks(engine.Active)},
	{method: "GET", path: base + "/services/{id}/tasks/completed", run: readTasks(engine.Completed)},
	{method: "GET", path: base + "/services/{id}/tasks/{tid}", run: (*call).readTask},
	{method: "GET", path: base + "/customers/{customer_id}/services", run: readCustomer(engine.AnyPhase)},
	{method: "GET", path: base + "/customers/{customer_id}/services/active", run: readCustomer(engine.Active)},
	{method: "GET", path: base + "/customers/{customer_id}/services/completed", run: readCustomer(engine.Completed)},
	{method: "GET", path: base + "/services/anonymous/{contact_key}", run: readAnonymous(engine.AnyPhase)},
	{method: "GET", path: base + "/services/anonymous/{contact_key}/active", run: readAnonymous(engine.Active)},
	{method: "GET", path: base + "/services/anonymous/{contact_key}/completed", run: readAnonymous(engine.Completed)},

	{method: "POST", path: base + "/maintenance/purge", run: (*call).purge},
	{method: "GET", path: base + "/maintenance/services/stream", run: (*call).export},

	{method: "GET", path: "/genesys/1/admin/node/status", run: (*call).nodeStatus, always: true},
	{method: "GET", path: "/healthz", run: (*call).healthz, always: true},
	{method: "GET", path: "/readyz", run: (*call).readyz, always: true},
}

// maxSegments is what the longest path has; a longer one is no path of ours.
const maxSegments = 12

// route is the operations that share a path.
type route struct {
	segments   []string // empty for a parameter
	operations []operation
	allow      string
}

// compile groups the operations by path. Where two paths fit the same request, the one that
// is literal further to the left stands first, and so wins: /services/start is never a
// service called start.
func compile(operations []operation) []route {
	byPath := map[string]int{}
	var routes []route
	for _, o := range operations {
		i, known := byPath[o.path]
		if !known {
			i = len(routes)
			byPath[o.path] = i
			routes = append(routes, route{segments: pattern(o.path)})
		}
		routes[i].operations = append(routes[i].operations, o)
	}
	for i := range routes {
		routes[i].allow = allow(routes[i].operations)
	}
	slices.SortStableFunc(routes, func(a, b route) int {
		return slices.CompareFunc(a.segments, b.segments, func(x, y string) int {
			return parameters(x) - parameters(y)
		})
	})
	return routes
}

func pattern(path string) []string {
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") {
			segments[i] = ""
		}
	}
	return segments
}

func parameters(segment string) int {
	if segment == "" {
		return 1
	}
	return 0
}

func allow(operations []operation) string {
	var methods []string
	for _, o := range operations {
		methods = append(methods, o.method)
		if o.method == fasthttp.MethodGet {
			methods = append(methods, fasthttp.MethodHead)
		}
	}
	return strings.Join(methods, ", ")
}

// route finds the operation that the request means, and notes the path's parameters.
func (c *call) route() (*operation, error) {
	segments, err := c.split(c.ctx.URI().PathOriginal())
	if err != nil {
		return nil, err
	}
	for i := range c.server.routes {
		r := &c.server.routes[i]
		if !c.fits(r, segments) {
			continue
		}
		method := c.ctx.Method()
		if c.ctx.IsHead() {
			method = []byte(fasthttp.MethodGet)
		}
		for j := range r.operations {
			if r.operations[j].method == string(method) {
				return &r.operations[j], nil
			}
		}
		c.ctx.Response.Header.Set(fasthttp.HeaderAllow, r.allow)
		return nil, refusal(errMethod, "%s is not allowed here, only %s", cut(c.ctx.Method()), r.allow)
	}
	return nil, refusal(errNoPath, "no such path: %s", cut(c.ctx.URI().PathOriginal()))
}

func (c *call) fits(r *route, segments [][]byte) bool {
	if len(segments) != len(r.segments) {
		return false
	}
	c.parameters = c.parameters[:0]
	for i, want := range r.segments {
		switch {
		case want == "":
			if len(segments[i]) == 0 {
				return false
			}
			c.parameters = append(c.parameters, segments[i])
		case want != string(segments[i]):
			return false
		}
	}
	return true
}

// split cuts a path at its slashes and only then decodes the segments, so that a key may hold
// an encoded slash, or be "..".
func (c *call) split(path []byte) ([][]byte, error) {
	c.segments = c.segments[:0]
	path, rooted := bytes.CutPrefix(path, []byte("/"))
	for rooted && len(c.segments) <= maxSegments {
		segment, rest, more := bytes.Cut(path, []byte("/"))
		segment, err := percentDecode(segment, false)
		if err != nil {
			return nil, refusal(engine.ErrInvalid, "path: %s in %s", err, cut(path))
		}
		c.segments = append(c.segments, segment)
		path, rooted = rest, more
	}
	return c.segments, nil
}
