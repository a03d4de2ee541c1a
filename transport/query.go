package transport

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/switchboard-cs/switchboard/engine"
)

// query is what the parameters of a read ask for. The zero query asks for everything, and
// nests nothing.
type query struct {
	serviceTypes, stateTypes, taskTypes set
	stateID                             *int64
	from, to                            engine.Instant // at or after; strictly before
	activeStates, completedStates       bool
	activeTasks, completedTasks         bool
	own, ofStates, ofTasks              names // extensions

	tasksOf [2]map[int32][]*engine.Task // by state, active and completed; made when first asked for
}

// set is a list of names: a query may hold thousands, and a service thousands to look up.
type set map[string]struct{}

func (s set) has(name []byte) bool {
	_, found := s[string(name)]
	return found
}

// names are the extensions that a read asks for.
type names struct {
	all  bool
	some set
}

func (n *names) has(name []byte) bool {
	return n.all || n.some.has(name)
}

func (n *names) add(name []byte) {
	if string(name) == "*" {
		n.all = true
		return
	}
	if n.some == nil {
		n.some = make(set)
	}
	n.some[string(name)] = struct{}{}
}

// parseQuery reads the parameters of a read.
func parseQuery(text []byte) (*query, error) {
	q := &query{}
	return q, parseParameters(text, q.set)
}

// parseParameters gives each parameter of a query to set, its value as it was sent. Those that
// set does not know are ignored.
func parseParameters(text []byte, set func(name string, value []byte) error) error {
	for pair := range bytes.SplitSeq(text, []byte("&")) {
		raw, value, _ := bytes.Cut(pair, []byte("="))
		name, err := percentDecode(raw, true)
		if err == nil {
			err = set(string(name), value)
		}
		if err != nil {
			return &engine.Error{Kind: engine.ErrInvalid, Place: string(cut(raw)), Reason: err.Error()}
		}
	}
	return nil
}

func (q *query) set(name string, value []byte) (err error) {
	switch name {
	case "service_types":
		err = addList(&q.serviceTypes, value)
	case "state_types":
		err = addList(&q.stateTypes, value)
	case "task_types":
		err = addList(&q.taskTypes, value)
	case "extensions":
		err = q.addExtensions(value)
	case "state_id":
		q.stateID, err = queryInteger(value)
	case "started_from":
		q.from, err = queryTimestamp(value)
	case "started_to":
		q.to, err = queryTimestamp(value)
	case "active_states":
		q.activeStates, err = queryBool(value)
	case "completed_states":
		q.completedStates, err = queryBool(value)
	case "active_tasks":
		q.activeTasks, err = queryBool(value)
	case "completed_tasks":
		q.completedTasks, err = queryBool(value)
	}
	return err
}

// appendList splits at commas before it decodes, so that an encoded comma belongs to a name.
func appendList(list []string, value []byte) ([]string, error) {
	for part := range bytes.SplitSeq(value, []byte(",")) {
		part, err := percentDecode(part, true)
		if err != nil {
			return nil, err
		}
		if len(part) > 0 {
			list = append(list, string(part))
		}
	}
	return list, nil
}

func addList(to *set, value []byte) error {
	list, err := appendList(nil, value)
	if *to == nil {
		*to = make(set)
	}
	for _, name := range list {
		(*to)[name] = struct{}{}
	}
	return err
}

// addExtensions sorts the names asked for by whose they are.
func (q *query) addExtensions(value []byte) error {
	list, err := appendList(nil, value)
	for _, name := range list {
		whose, of, nested := bytes.Cut([]byte(name), []byte("."))
		switch {
		case name == "State":
			q.ofStates.all = true
		case name == "Task":
			q.ofTasks.all = true
		case nested && string(whose) == "State":
			q.ofStates.add(of)
		case nested && string(whose) == "Task":
			q.ofTasks.add(of)
		default:
			q.own.add([]byte(name))
		}
	}
	return err
}

func queryInteger(value []byte) (*int64, error) {
	text, err := percentDecode(value, true)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return nil, wanted("a 64-bit integer", text)
	}
	return &n, nil
}

// queryTimestamp takes a space for the plus that a client forgot to encode: nothing else can
// have been meant.
func queryTimestamp(value []byte) (engine.Instant, error) {
	text, err := percentDecode(value, true)
	if err != nil {
		return 0, err
	}
	at, ok := parseTimestamp(bytes.ReplaceAll(text, []byte(" "), []byte("+")))
	if !ok {
		return 0, wanted(wantTimestamp, text)
	}
	return at, nil
}

func queryBool(value []byte) (bool, error) {
	text, err := percentDecode(value, true)
	if err != nil {
		return false, err
	}
	b, ok := parseBool(text)
	if !ok {
		return false, wanted("true or false", text)
	}
	return b, nil
}

func wanted(want string, got []byte) error {
	return errors.New("want " + want + ", got " + strconv.Quote(string(cut(got))))
}

// percentDecode decodes a segment of a path, or, where plus stands for a space, a part of a
// query. What has nothing to decode comes back as it is.
func percentDecode(text []byte, plus bool) ([]byte, error) {
	if bytes.IndexByte(text, '%') < 0 && !(plus && bytes.IndexByte(text, '+') >= 0) {
		return text, nil
	}
	decoded := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '+' && plus:
			decoded = append(decoded, ' ')
		case text[i] != '%':
			decoded = append(decoded, text[i])
		default:
			if len(text)-i < len("%00") {
				return nil, badEscape(text[i:])
			}
			n, err := strconv.ParseUint(string(text[i+1:i+3]), 16, 8)
			if err != nil {
				return nil, badEscape(text[i : i+3])
			}
			decoded = append(decoded, byte(n))
			i += 2
		}
	}
	return decoded, nil
}

func badEscape(got []byte) error {
	return errors.New("bad percent-encoding " + strconv.Quote(string(got)))
}
