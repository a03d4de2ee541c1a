package transport

import (
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

// maxWalks is how many purges and exports may run at once: each goes through everything that is
// stored, beside the requests of callers, who come first.
const maxWalks = 4

// startWalk has a purge or an export counted among those that run. endWalk must follow where it
// returns nil.
func (s *Server) startWalk() error {
	if s.walks.Add(1) > maxWalks {
		s.endWalk()
		return errWalks
	}
	return nil
}

func (s *Server) endWalk() { s.walks.Add(-1) }

// purge may take minutes, and so has no deadline. It stops when the server drains; sent again,
// it goes on.
func (c *call) purge() error {
	p, err := c.parsePurge()
	if err != nil {
		return err
	}
	if err := c.server.startWalk(); err != nil {
		return err
	}
	defer c.server.endWalk()
	_, err = c.engine.Purge(c.server.stopping, p)
	if err != nil && c.server.stopping.Err() != nil {
		return errUnavailable
	}
	return c.done(fasthttp.StatusOK, err)
}

// purgeRequest is what a purge asks for, in its body or in the query.
type purgeRequest struct {
	limit     engine.Instant
	operation string
}

func (c *call) parsePurge() (engine.Purge, error) {
	text, err := c.readBody()
	if err != nil {
		return engine.Purge{}, err
	}
	r := c.server.requests.Get().(*request)
	defer c.server.keep(r)
	var sent purgeRequest
	if err := r.parseEvent(text, c.bounds, optional, func(r *request) error { return r.purge(&sent) }); err != nil {
		return engine.Purge{}, err
	}
	c.releaseBody() // before a long time
	return sent.complete(c.ctx.URI().QueryString())
}

func (r *reader) purge(p *purgeRequest) error {
	return r.members(func(name []byte) (err error) {
		switch string(name) {
		case "limit":
			p.limit, err = r.timestamp("limit")
		case "operation":
			p.operation, err = r.word("operation")
		default:
			err = r.ignore(name)
		}
		return err
	})
}

// complete takes what the body lacks from the query.
func (p *purgeRequest) complete(query []byte) (engine.Purge, error) {
	err := parseParameters(query, func(name string, value []byte) (err error) {
		switch {
		case name == "limit" && p.limit == 0:
			p.limit, err = queryTimestamp(value)
		case name == "operation" && p.operation == "":
			var text []byte
			text, err = percentDecode(value, true)
			p.operation = string(text)
		}
		return err
	})
	if err != nil {
		return engine.Purge{}, err
	}
	if p.limit == 0 {
		return engine.Purge{}, missing("limit")
	}
	if p.operation == "" {
		return engine.Purge{}, missing("operation")
	}
	purge, err := meant(purges, []byte(p.operation))
	if err != nil {
		return engine.Purge{}, &engine.Error{Kind: engine.ErrInvalid, Place: "operation", Reason: err.Error()}
	}
	purge.Limit = p.limit
	return purge, nil
}

// word is one of those that a parameter may be, and what it means.
type word[T any] struct {
	text  string
	means T
}

var purges = []word[engine.Purge]{
	{"purge.service.all", engine.Purge{}},
	{"purge.service.started", engine.Purge{Phase: engine.Active}},
	{"purge.service.started.anonymous", engine.Purge{Phase: engine.Active, Anonymous: true}},
	{"purge.service.completed", engine.Purge{Phase: engine.Completed}},
	{"purge.service.completed.anonymous", engine.Purge{Phase: engine.Completed, Anonymous: true}},
}

func meant[T any](words []word[T], text []byte) (means T, err error) {
	var all []string
	for _, w := range words {
		if w.text == string(text) {
			return w.means, nil
		}
		all = append(all, w.text)
	}
	last := len(all) - 1
	return means, wanted(strings.Join(all[:last], ", ")+" or "+all[last], text)
}

func queryWord[T any](words []word[T], value []byte) (means T, err error) {
	text, err := percentDecode(value, true)
	if err != nil {
		return means, err
	}
	return meant(words, text)
}

func missing(place string) error {
	return &engine.Error{Kind: engine.ErrInvalid, Place: place, Reason: "mandatory, and missing"}
}
