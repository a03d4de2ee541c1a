package transport

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The bounds that --strict adds, in characters, from the API's tables.
const (
	sessionIDCharacters       = 32
	interactionIDCharacters   = 50
	dispositionDescCharacters = 64
)

// key reads customer_id or contact_key: a string, or an integer that counts as its digits.
func (r *reader) key(member string) (string, error) {
	raw, err := r.known(member)
	switch {
	case raw == nil:
		return "", err
	case raw[0] == '"':
		return unquote(raw), nil
	case isInteger(raw):
		return string(raw), nil
	default:
		return "", r.unwanted(member, "a string or a 64-bit integer", raw)
	}
}

// longOrString reads a field that takes an integer or a string.
func (r *reader) longOrString(member string) (engine.Value, error) {
	raw, err := r.known(member)
	switch {
	case raw == nil:
		return engine.Value{}, err
	case raw[0] == '"':
		return engine.String(unquote(raw)), nil
	case isInteger(raw):
		return conversation.IntegerText(string(raw)), nil
	default:
		return engine.Value{}, r.unwanted(member, "a string or a 64-bit integer", raw)
	}
}

// seconds reads a duration of at least one second; zero when absent.
func (r *reader) seconds(member string) (int64, error) {
	raw, err := r.known(member)
	if raw == nil {
		return 0, err
	}
	n, ok := integer(raw)
	if !ok || n < 1 {
		return 0, r.unwanted(member, "an integer of at least 1", raw)
	}
	return n, nil
}

// id reads a reference to a state.
func (r *reader) id(member string) (conversation.ID, error) {
	raw, err := r.known(member)
	if raw == nil {
		return conversation.ID{}, err
	}
	n, ok := integer(raw)
	if !ok {
		return conversation.ID{}, r.unwanted(member, "a 64-bit integer", raw)
	}
	return conversation.ID{Number: n, Set: true}, nil
}

// timestamp reads a point in time; zero when absent.
func (r *reader) timestamp(member string) (engine.Instant, error) {
	raw, err := r.known(member)
	if raw == nil {
		return 0, err
	}
	if raw[0] == '"' {
		if at, ok := parseTimestamp(unquoted(raw)); ok {
			return at, nil
		}
	}
	return 0, r.unwanted(member, wantTimestamp, raw)
}

// word reads a string; empty when absent.
func (r *reader) word(member string) (string, error) {
	raw, err := r.known(member)
	switch {
	case raw == nil:
		return "", err
	case raw[0] != '"':
		return "", r.unwanted(member, "a string", raw)
	}
	return unquote(raw), nil
}

// flag reads a boolean, or the word for one.
func (r *reader) flag(member string) (bool, error) {
	raw, err := r.known(member)
	if raw == nil {
		return false, err
	}
	text := []byte(raw)
	if raw[0] == '"' {
		text = unquoted(raw)
	}
	if value, ok := parseBool(text); ok {
		return value, nil
	}
	return false, r.unwanted(member, `true, false, "true" or "false"`, raw)
}

func parseBool(text []byte) (value, ok bool) {
	switch {
	case len(text) == len("true") && bytes.EqualFold(text, []byte("true")):
		return true, true
	case len(text) == len("false") && bytes.EqualFold(text, []byte("false")):
		return false, true
	default:
		return false, false
	}
}

// The common fields go into the Details as they were sent, once their types are checked.

func (r *reader) textField(f conversation.Field, characters int) error {
	raw, err := r.known(f.String())
	switch {
	case raw == nil:
		return err
	case raw[0] != '"':
		return r.unwanted(f.String(), "a string", raw)
	case r.bounds.Strict && utf8.RuneCount(unquoted(raw)) > characters:
		return r.fail(f.String(), "longer than %d characters, which is the bound: %s", characters, cut(raw))
	}
	r.details = r.details.AppendField(f, raw)
	return nil
}

func (r *reader) integerField(f conversation.Field) error {
	raw, err := r.known(f.String())
	switch {
	case raw == nil:
		return err
	case !isInteger(raw):
		return r.unwanted(f.String(), "a 64-bit integer", raw)
	}
	r.details = r.details.AppendField(f, raw)
	return nil
}

// typeField reads a type that no rule looks at; it has the bound of those that are matched.
func (r *reader) typeField(f conversation.Field) error {
	from := len(r.details)
	err := r.longOrStringField(f)
	if raw := engine.Details(r.details[from:]).Field(f); len(raw) > r.bounds.KeyBytes && raw[0] == '"' {
		if n := len(unquoted(raw)); n > r.bounds.KeyBytes {
			return r.fail(f.String(), "%d bytes, the bound is %d: %s", n, r.bounds.KeyBytes, cut(raw))
		}
	}
	return err
}

func (r *reader) longOrStringField(f conversation.Field) error {
	raw, err := r.known(f.String())
	switch {
	case raw == nil:
		return err
	case raw[0] != '"' && !isInteger(raw):
		return r.unwanted(f.String(), "a string or a 64-bit integer", raw)
	}
	r.details = r.details.AppendField(f, raw)
	return nil
}

// isReplyName tells the names that reads use for what the server says of any resource. They are
// ignored where they are no field of the event, and are never extensions: an extension stands
// beside them in a reply.
func isReplyName(name []byte) bool {
	switch string(name) {
	case "service_id", "state_id", "task_id", "started", "completed", "duration", "disposition", "disposition_desc",
		"active_states", "completed_states", "active_tasks", "completed_tasks":
		return true
	}
	return false
}

// extension keeps a member that has no meaning here, whatever its value.
func (r *reader) extension(name []byte) error {
	if isReplyName(name) {
		return r.ignore(name)
	}
	if len(name) > r.bounds.NameBytes {
		return r.fail(string(cut(name)), "an extension's name of %d bytes; the bound is %d", len(name), r.bounds.NameBytes)
	}
	if r.extensions++; r.extensions > r.bounds.Extensions {
		return r.fail(string(cut(name)), "one extension more than %d, which is the bound", r.bounds.Extensions)
	}
	raw, err := r.any(name)
	if err != nil {
		return err
	}
	r.details = r.details.AppendExtension(name, raw)
	return nil
}

// unquote decodes a string.
func unquote(raw []byte) string { return string(unquoted(raw)) }

// unquoted is unquote in place where the string has no escape, as nearly all have none.
func unquoted(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, raw)
	return text
}

func isInteger(raw []byte) bool {
	_, ok := integer(raw)
	return ok
}

// integer reads a JSON number that has neither fraction nor exponent and fits 64 bits.
func integer(raw []byte) (int64, bool) {
	const longest = len("-9223372036854775808")
	if len(raw) > longest || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil
}
