package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine"
)

const (
	shownBytes = 64  // of a value, name or path, as a message shows it
	placeBytes = 256 // of a place deep in a body
)

// reader makes one strict pass over a JSON text: duplicate names, invalid UTF-8, lone
// surrogates, trailing data and nesting past the bound are errors. It knows where it is only
// as far as naming a place needs, and names one only when something is wrong.
type reader struct {
	source  bytes.Buffer
	decoder *jsontext.Decoder
	text    []byte
	bounds  engine.Bounds
	item    int    // of a composite request, or none
	part    string // of that item, or empty
	name    []byte // of the member being read, where it had to be kept or decoded
	compact []byte

	// details are those of all events that were read, one after the other. Where appending
	// moves them, an earlier event keeps the memory that it has.
	details    engine.Details
	extensions int // of the event being read
}

// none is the item of a body that is not a composite request, or of what stands beside them.
const none = -1

func (r *reader) begin(text []byte, bounds engine.Bounds) {
	// The decoder reads a bytes.Buffer in place.
	r.source = *bytes.NewBuffer(text)
	r.decoder.Reset(&r.source)
	r.text, r.bounds = text, bounds
	r.item, r.part = none, ""
	r.details = slices.Grow(r.details[:0], min(len(text), keptBytes)) // no event says more than its JSON does
}

// letGo forgets the text; what was read of it stays.
func (r *reader) letGo() {
	r.source = bytes.Buffer{}
	r.decoder.Reset(&r.source)
	r.text = nil
}

// end lets go of the text.
func (r *reader) end() {
	r.letGo()
	r.details = r.details[:0]
	if cap(r.compact) > keptBytes {
		r.compact = nil
	}
	if cap(r.details) > keptBytes {
		r.details = nil
	}
	if cap(r.name) > keptBytes {
		r.name = nil
	}
}

// empty tells whether there is no JSON at all.
func (r *reader) empty() bool { return len(bytes.Trim(r.text, " \t\r\n")) == 0 }

// event reads the start of the object that the whole body is.
func (r *reader) event() error {
	present, err := r.object("body")
	if err == nil && !present {
		return r.fail("body", "want an object, got null")
	}
	return err
}

// object reads the start of an object. Null counts as absent: then there is none.
func (r *reader) object(member string) (present bool, err error) {
	return r.container(member, jsontext.KindBeginObject, "an object")
}

// array reads the start of an array, likewise.
func (r *reader) array(member string) (present bool, err error) {
	return r.container(member, jsontext.KindBeginArray, "an array")
}

func (r *reader) container(member string, begin jsontext.Kind, want string) (present bool, err error) {
	if r.decoder.PeekKind() != begin {
		raw, err := r.known(member)
		if raw != nil {
			err = r.unwanted(member, want, raw)
		}
		return false, err
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return false, r.syntax(err)
	}
	if r.decoder.StackDepth() > r.bounds.Depth {
		return false, r.tooDeep(member)
	}
	return true, nil
}

// more tells whether the object or array has another member or element; when it has none, its
// end is read.
func (r *reader) more() (bool, error) {
	switch r.decoder.PeekKind() {
	case jsontext.KindEndObject, jsontext.KindEndArray:
		_, err := r.decoder.ReadToken()
		if err != nil {
			err = r.syntax(err)
		}
		return false, err
	default:
		return true, nil // what is wrong comes out when it is read
	}
}

// member reads the next member's name, which is valid until the next read; nil at the end of
// the object.
func (r *reader) member() ([]byte, error) {
	if more, err := r.more(); !more {
		return nil, err
	}
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return nil, r.syntax(err)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	r.name, err = jsontext.AppendUnquote(r.name[:0], raw)
	return r.name, err
}

// members gives each member's name to read, which reads its value, to the end of the object. The
// loops of composite starts stand by themselves, since a closure costs there.
func (r *reader) members(read func(name []byte) error) error {
	for {
		name, err := r.member()
		if name == nil {
			return err
		}
		if err := read(name); err != nil {
			return err
		}
	}
}

// compacted reads the value of the extension called r.name, without white space between its
// tokens.
func (r *reader) compacted() ([]byte, error) {
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return nil, r.syntax(err)
	}
	if c := raw[0]; c != '{' && c != '[' {
		return raw, nil
	}
	var depth int
	r.compact, depth = appendCompact(r.compact[:0], raw)
	if r.decoder.StackDepth()+depth > r.bounds.Depth {
		return nil, r.tooDeep(string(r.name))
	}
	return r.compact, nil
}

// known reads the value of a member that has a meaning; it is valid until the next read. Null
// counts as absent: then raw is nil.
func (r *reader) known(member string) (raw jsontext.Value, err error) {
	raw, err = r.decoder.ReadValue()
	switch {
	case err != nil:
		return nil, r.syntax(err)
	case raw[0] == 'n':
		return nil, nil
	case r.deeper(raw):
		return nil, r.tooDeep(member)
	}
	return raw, nil
}

// ignore reads a member that is not looked at.
func (r *reader) ignore(name []byte) error {
	r.name = append(r.name[:0], name...) // the next read takes it away
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return r.syntax(err)
	}
	if r.deeper(raw) {
		return r.tooDeep(string(cut(r.name)))
	}
	return nil
}

// deeper tells whether a value that was just read passes the bound on nesting.
func (r *reader) deeper(raw []byte) bool {
	return (raw[0] == '{' || raw[0] == '[') && r.decoder.StackDepth()+nesting(raw) > r.bounds.Depth
}

// finish checks that nothing follows the value that was read.
func (r *reader) finish() error {
	at := r.decoder.InputOffset()
	if _, err := r.decoder.ReadToken(); err != io.EOF {
		return &engine.Error{Kind: engine.ErrInvalid, Reason: fmt.Sprintf("not valid JSON: something follows the value, after byte %d: %s",
			at, cut(bytes.TrimLeft(r.text[at:], " \t\r\n")))}
	}
	return nil
}

func (r *reader) unwanted(member, want string, got []byte) error {
	return r.fail(member, "want %s, got %s", want, cut(got))
}

func (r *reader) fail(member, reason string, args ...any) error {
	return &engine.Error{Kind: engine.ErrInvalid, Place: r.place(member), Reason: fmt.Sprintf(reason, args...)}
}

// place names a member of where the reader is: services[3].state.state_type.
func (r *reader) place(member string) string {
	var b []byte
	if r.item != none {
		b = append(b, "services["...)
		b = strconv.AppendInt(b, int64(r.item), 10)
		b = append(b, ']')
	}
	for _, name := range []string{r.part, member} {
		if len(b) > 0 && name != "" {
			b = append(b, '.')
		}
		b = append(b, name...)
	}
	return string(b)
}

func (r *reader) tooDeep(member string) error {
	return r.fail(member, "nested deeper than %d, which is the bound", r.bounds.Depth)
}

// syntax names the place of what is not valid JSON. The decoder gives up on nesting, too, at a
// bound of its own: what came before it is measured again to name ours.
func (r *reader) syntax(err error) error {
	var s *jsontext.SyntacticError
	if !errors.As(err, &s) {
		if err == io.EOF {
			return &engine.Error{Kind: engine.ErrInvalid, Reason: "not valid JSON: the body is empty"}
		}
		return fmt.Errorf("read JSON: %w", err)
	}
	read := r.text[:min(int(s.ByteOffset)+1, len(r.text))]
	place := notation(s.JSONPointer)
	if nesting(read) > r.bounds.Depth {
		return &engine.Error{Kind: engine.ErrInvalid, Place: place,
			Reason: fmt.Sprintf("nested deeper than %d, which is the bound", r.bounds.Depth)}
	}
	what := s.Err.Error()
	if errors.Is(s.Err, io.ErrUnexpectedEOF) {
		what = "it ends early"
	}
	return &engine.Error{Kind: engine.ErrInvalid, Place: place,
		Reason: fmt.Sprintf("not valid JSON at byte %d: %s", s.ByteOffset, cut([]byte(what)))}
}

// notation turns a JSON pointer into the way in which places are written.
func notation(pointer jsontext.Pointer) string {
	var b []byte
	for token := range pointer.Tokens() {
		switch _, err := strconv.ParseUint(token, 10, 32); {
		case err == nil:
			b = append(append(append(b, '['), token...), ']')
		case len(b) > 0:
			b = append(append(b, '.'), token...)
		default:
			b = append(b, token...)
		}
		if len(b) > placeBytes {
			return string(cutAt(b, placeBytes))
		}
	}
	return string(b)
}

// cut shortens what a message shows.
func cut(b []byte) []byte { return cutAt(b, shownBytes) }

func cutAt(b []byte, size int) []byte {
	if len(b) <= size {
		return b
	}
	for size > 0 && !utf8.RuneStart(b[size]) {
		size--
	}
	return append(bytes.Clone(b[:size]), "…"...)
}
