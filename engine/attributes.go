package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// Attributes are the common fields of an event and its extensions, for programs that make
// events; HTTP packs Details from a request's bytes. What is zero or nil is absent.
type Attributes struct {
	SessionID       string
	InteractionID   string
	ApplicationType Value
	ApplicationID   *int64
	ResourceType    Value
	ResourceID      *int64
	MediaType       Value
	EstDuration     *int64 // seconds
	Disposition     Value  // of an end
	DispositionDesc string // of an end
	Extensions      map[string]json.RawMessage
}

// Details packs the attributes. An extension that is not one valid JSON value is an *Error of
// kind ErrInvalid that names it.
func (a Attributes) Details() (Details, error) {
	var d Details
	text := func(f conversation.Field, s string) {
		if s != "" {
			d = d.AppendField(f, quote(s))
		}
	}
	value := func(f conversation.Field, v Value) {
		if v.IsInteger() {
			d = d.AppendField(f, []byte(v.Text()))
		} else if v.Present() {
			d = d.AppendField(f, quote(v.Text()))
		}
	}
	integer := func(f conversation.Field, n *int64) {
		if n != nil {
			d = d.AppendField(f, strconv.AppendInt(nil, *n, 10))
		}
	}
	text(conversation.SessionID, a.SessionID)
	text(conversation.InteractionID, a.InteractionID)
	value(conversation.ApplicationType, a.ApplicationType)
	integer(conversation.ApplicationID, a.ApplicationID)
	value(conversation.ResourceType, a.ResourceType)
	integer(conversation.ResourceID, a.ResourceID)
	value(conversation.MediaType, a.MediaType)
	integer(conversation.EstDuration, a.EstDuration)
	value(conversation.Disposition, a.Disposition)
	text(conversation.DispositionDesc, a.DispositionDesc)
	for _, name := range slices.Sorted(maps.Keys(a.Extensions)) {
		compact, err := compactJSON(a.Extensions[name])
		if err != nil {
			return nil, wrong(name, "not a JSON value: %v", err)
		}
		d = d.AppendExtension([]byte(name), compact)
	}
	return d, nil
}

func quote(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, s) // the error tells of invalid UTF-8, which it has replaced
	return b
}

// Extension is an extension's JSON; nil when there is none of that name.
func Extension(d Details, name string) json.RawMessage {
	return d.Extension(name)
}
