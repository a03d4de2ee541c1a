package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine"
)

const (
	shownBytes = 64  // of a value, name or path, as a message shows it
	placeBytes = 256 // of a place deep in a body

	// keptText is how much memory is kept for the next text, and for the next details: enough for a
	// hundred items with the bodies of the page's example.
	keptText = 512 << 10
)

// texts are lent to readers while they read, and not while the engine is asked: so there are no
// more of them than processors.
var texts = sync.Pool{New: func() any { return new([]byte) }}

// reader reads a JSON text. White space between tokens goes first, and then the library checks all
// of it: duplicate names, invalid UTF-8, lone surrogates and trailing data are errors. So what walks
// over it here need not know what is not JSON. Where it is it knows only as far as naming a place
// needs.
type reader struct {
	source  bytes.Buffer
	decoder *jsontext.Decoder
	lent    *[]byte // of texts
	text    []byte  // compact and valid
	at      int     // where the next token begins
	depth   int     // of open objects and arrays
	bounds  engine.Bounds
	item    int    // of a composite request, or none
	part    string // of that item, or empty
	name    []byte // of the member being read, where it had to be decoded

	// details are those of all events that were read, one after the other. Where appending
	// moves them, an earlier event keeps the memory that it has.
	details    engine.Details
	extensions int // of the event being read
}

// none is the item of a body that is not a composite request, or of what stands beside them.
const none = -1

// begin checks that the text is one JSON value, and stands before it. It keeps no part of it.
func (r *reader) begin(text []byte, bounds engine.Bounds) error {
	r.bounds, r.at, r.depth = bounds, 0, 0
	r.item, r.part = none, ""
	r.details = slices.Grow(r.details[:0], min(len(text), keptText)) // no event says more than its JSON does
	r.lent = texts.Get().(*[]byte)
	r.text = appendCompact((*r.lent)[:0], text)
	if r.check(r.text) == nil {
		return nil
	}
	return r.check(text) // the same, with places as they were sent
}

// check tells what keeps text from being one JSON value.
func (r *reader) check(text []byte) error {
	r.read(text)
	defer r.read(nil) // it keeps nothing of text
	if _, err := r.decoder.ReadValue(); err != nil {
		return r.syntax(err, text)
	}
	at := r.decoder.InputOffset()
	if _, err := r.decoder.ReadToken(); err != io.EOF {
		return &engine.Error{Kind: engine.ErrInvalid, Reason: fmt.Sprintf("not valid JSON: something follows the value, after byte %d: %s",
			at, cut(bytes.TrimLeft(text[at:], " \t\r\n")))}
	}
	return nil
}

// read has the decoder read text, in place.
func (r *reader) read(text []byte) {
	r.source = *bytes.NewBuffer(text)
	r.decoder.Reset(&r.source)
}

// letGo forgets the text; what was read of it stays.
func (r *reader) letGo() {
	if r.lent != nil && cap(r.text) <= keptText {
		*r.lent = r.text[:0]
		texts.Put(r.lent)
	}
	r.lent, r.text = nil, nil
}

// end forgets what was read of it, too.
func (r *reader) end() {
	r.letGo()
	r.details = r.details[:0]
	if cap(r.details) > keptText {
		r.details = nil
	}
	if cap(r.name) > keptBytes {
		r.name = nil
	}
}

// empty tells whether there is no JSON at all.
func empty(text []byte) bool { return len(bytes.Trim(text, " \t\r\n")) == 0 }

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
	return r.container(member, '{', "an object")
}

// array reads the start of an array, likewise.
func (r *reader) array(member string) (present bool, err error) {
	return r.container(member, '[', "an array")
}

func (r *reader) container(member string, begin byte, want string) (present bool, err error) {
	if r.text[r.at] != begin {
		raw, err := r.known(member)
		if raw != nil {
			err = r.unwanted(member, want, raw)
		}
		return false, err
	}
	r.at++
	if r.depth++; r.depth > r.bounds.Depth {
		return false, r.tooDeep(member)
	}
	return true, nil
}

// more tells whether the object or array has another member or element, and stands before it;
// when it has none, its end is read.
func (r *reader) more() bool {
	switch r.text[r.at] {
	case ',':
		r.at++
	case '}', ']':
		r.at++
		r.depth--
		return false
	}
	return true
}

// member reads the next member's name; nil at the end of the object. It is valid until the next
// name is read.
func (r *reader) member() []byte {
	if !r.more() {
		return nil
	}
	from := r.at
	r.at = endOfString(r.text, from) + len(":")
	name := r.text[from+1 : r.at-2]
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	r.name, _ = jsontext.AppendUnquote(r.name[:0], r.text[from:r.at-1])
	return r.name
}

// value reads the next value, and tells whether it is nested within the bound.
func (r *reader) value() (raw []byte, within bool) {
	from := r.at
	length, nesting := extent(r.text[from:])
	r.at += length
	return r.text[from:r.at], nesting == 0 || r.depth+nesting <= r.bounds.Depth
}

// members gives each member's name to read, which reads its value, to the end of the object. The
// loops of composite starts stand by themselves, since a closure costs there.
func (r *reader) members(read func(name []byte) error) error {
	for name := r.member(); name != nil; name = r.member() {
		if err := read(name); err != nil {
			return err
		}
	}
	return nil
}

// any reads the value of a member, whatever it is.
func (r *reader) any(member []byte) ([]byte, error) {
	raw, within := r.value()
	if !within {
		return nil, r.tooDeep(string(cut(member)))
	}
	return raw, nil
}

// ignore reads a member that is not looked at.
func (r *reader) ignore(member []byte) error {
	_, err := r.any(member)
	return err
}

// known reads the value of a member that has a meaning. Null counts as absent: then raw is nil.
func (r *reader) known(member string) ([]byte, error) {
	raw, within := r.value()
	switch {
	case raw[0] == 'n':
		return nil, nil
	case !within:
		return nil, r.tooDeep(member)
	}
	return raw, nil
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
func (r *reader) syntax(err error, text []byte) error {
	var s *jsontext.SyntacticError
	if !errors.As(err, &s) {
		if err == io.EOF {
			return &engine.Error{Kind: engine.ErrInvalid, Reason: "not valid JSON: the body is empty"}
		}
		return fmt.Errorf("read JSON: %w", err)
	}
	read := text[:min(int(s.ByteOffset)+1, len(text))]
	place := notation(s.JSONPointer)
	if _, nesting := extent(read); nesting > r.bounds.Depth {
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
