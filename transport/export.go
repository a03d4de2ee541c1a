package transport

import (
	"bytes"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"

	"github.com/switchboard-cs/switchboard/engine"
)

// exportBytes is how much of an export is rendered ahead of its client: each service whole, and
// of ids, which are short, many at once.
const exportBytes = 32 << 10

// export answers with everything that the parameters ask for, made while it is fetched: what
// is in memory of it is one batch. Its first batch is there before the status is, so that what
// fails at once fails as everything else does.
func (c *call) export() error {
	filter, content, err := parseExport(c.ctx.URI().QueryString())
	if err != nil {
		return err
	}
	c.ctx.Response.Header.SetContentType(contentTypeJSON)
	if c.ctx.IsHead() {
		c.ctx.Response.SetBodyStream(bytes.NewReader(nil), -1)
		return nil
	}
	if err := c.server.startWalk(); err != nil {
		return err
	}
	x := &export{server: c.server, walk: c.engine.Export(filter), content: content, before: '['}
	if conn, ok := c.ctx.Conn().(*connection); ok {
		conn.streaming = true
		x.connection = conn
	}
	c.ctx.Response.SetBodyStream(x, -1) // closed whatever happens from here on
	return x.fetch()
}

var exportedEvents = []word[engine.Events]{
	{"any", engine.AnyEvent}, {"started", engine.Started}, {"completed", engine.Ended},
}

var exportedPhases = []word[engine.Phase]{
	{"any", engine.AnyPhase}, {"active", engine.Active}, {"inactive", engine.Completed},
}

// parseExport reads the parameters of an export.
func parseExport(query []byte) (f engine.Filter, content bool, err error) {
	err = parseParameters(query, func(name string, value []byte) (err error) {
		switch name {
		case "time_from":
			f.From, err = queryTimestamp(value)
		case "time_to":
			f.To, err = queryTimestamp(value)
		case "filter_events":
			f.Events, err = queryWord(exportedEvents, value)
		case "filter_state":
			f.Phase, err = queryWord(exportedPhases, value)
		case "export_content":
			content, err = queryBool(value)
		}
		return err
	})
	if err == nil && f.From == 0 {
		err = missing("time_from")
	}
	return f, content, err
}

// export is the body of such an answer. fasthttp reads it once the handler has returned, and
// closes it: nothing here may belong to the call.
type export struct {
	server     *Server
	connection *connection // nil in tests
	walk       *engine.Export
	content    bool // whole services, not ids
	batch      []*engine.Service
	last       bool // there is no batch after this one
	before     byte // what comes before the next service: a bracket, then commas; 0 after the end
	text, rest []byte
	closed     bool
}

// everything is what export_content=true asks for.
var everything = query{
	activeStates: true, completedStates: true, activeTasks: true, completedTasks: true,
	own: names{all: true}, ofStates: names{all: true}, ofTasks: names{all: true},
}

// Read gives the next part. After an error the answer is broken off where it is, without the
// last chunk, so that the client cannot take what it has for the whole.
func (x *export) Read(p []byte) (n int, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			n, err = 0, fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
		if err != nil && err != io.EOF {
			x.server.options.Logf("transport: export broken off: %v", err)
		}
	}()
	if len(x.rest) == 0 {
		if err := x.render(); err != nil {
			return 0, err
		}
		if len(x.rest) == 0 {
			return 0, io.EOF
		}
	}
	n = copy(p, x.rest)
	x.rest = x.rest[n:]
	return n, nil
}

// render makes the next part of the text; none after the end.
func (x *export) render() error {
	b := x.text[:0]
	for len(b) < exportBytes && x.before != 0 {
		switch {
		case len(x.batch) > 0:
			b = x.appendService(append(b, x.before), x.batch[0])
			x.batch[0], x.batch = nil, x.batch[1:]
			x.before = ','
		case !x.last:
			if err := x.fetch(); err != nil {
				return err
			}
		default:
			if x.before == '[' {
				b = append(b, '[')
			}
			b = append(b, ']')
			x.before = 0
		}
	}
	x.text, x.rest = b, b
	return nil
}

func (x *export) appendService(b []byte, s *engine.Service) []byte {
	if x.content {
		return everything.appendService(b, s)
	}
	return strconv.AppendInt(b, int64(s.ID), 10)
}

// fetch has a deadline for each batch: the whole may take as long as it takes.
func (x *export) fetch() (err error) {
	d := x.server.deadlines.start()
	x.batch, x.last, err = x.walk.Next(d)
	x.server.deadlines.stop(d)
	return err
}

// Close gives up the place among the walks.
func (x *export) Close() error {
	if !x.closed {
		x.closed = true
		x.server.endWalk()
		if x.connection != nil {
			x.connection.streaming = false
		}
	}
	return nil
}
