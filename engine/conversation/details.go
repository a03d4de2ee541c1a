package conversation

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// Details is what an event says that no rule looks at: the common fields and the extensions.
// It is packed once, when the event is read, and the same bytes then stand in memory, in the
// journal and in the rows; they are unpacked only to be shown. A Details is never changed in
// place, so it may be shared freely.
//
// It is a sequence of members. A common field is its number, the length of its JSON text as
// an unsigned varint, and that text. An extension is a zero, its name (length and decoded
// UTF-8) and its JSON text (length and bytes). The JSON is what the client sent, without the
// white space between tokens: numbers keep every digit.
type Details []byte

// Field numbers the common fields that Details carries. The numbers stand on disk.
type Field uint8

// The common fields of an event, and the two of its end that no rule looks at.
const (
	extension Field = iota // marks an extension, which has a name in place of a number
	SessionID
	InteractionID
	ApplicationType
	ApplicationID
	ResourceType
	ResourceID
	MediaType
	EstDuration
	Disposition
	DispositionDesc
	fieldCount
)

var fieldNames = [fieldCount]string{
	SessionID:       "session_id",
	InteractionID:   "interaction_id",
	ApplicationType: "application_type",
	ApplicationID:   "application_id",
	ResourceType:    "resource_type",
	ResourceID:      "resource_id",
	MediaType:       "media_type",
	EstDuration:     "est_duration",
	Disposition:     "disposition",
	DispositionDesc: "disposition_desc",
}

// String is the field's name on the wire.
func (f Field) String() string { return fieldNames[f] }

// Member is one field or extension of a Details.
type Member struct {
	Field Field  // zero for an extension
	Name  []byte // an extension's name, decoded
	JSON  []byte // the value as JSON, without white space
}

// IsExtension tells an extension from a common field.
func (m Member) IsExtension() bool { return m.Field == extension }

// AppendField adds a common field to d. The caller has checked that json is one valid JSON
// value without white space.
func (d Details) AppendField(f Field, json []byte) Details {
	d = append(d, byte(f))
	return appendBytes(d, json)
}

// AppendExtension adds an extension to d, under the same condition.
func (d Details) AppendExtension(name, json []byte) Details {
	d = append(d, byte(extension))
	d = appendBytes(d, name)
	return appendBytes(d, json)
}

func appendBytes(d Details, b []byte) Details {
	d = binary.AppendUvarint(d, uint64(len(b)))
	return append(d, b...)
}

// Check tells whether d is whole. Details read back from disk are checked once, so that
// Members need not.
func (d Details) Check() error {
	for rest := d; len(rest) > 0; {
		m, n := rest.member()
		if n == 0 || m.Field >= fieldCount {
			return fmt.Errorf("details: member at byte %d of %d is not whole", len(d)-len(rest), len(d))
		}
		rest = rest[n:]
	}
	return nil
}

// Members ranges over the members in the order in which they were sent.
func (d Details) Members() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		for rest := d; len(rest) > 0; {
			m, n := rest.member()
			if n == 0 {
				panic("conversation: Details that were never checked")
			}
			if !yield(m) {
				return
			}
			rest = rest[n:]
		}
	}
}

// member reads the first member and how many bytes it takes: none when it is not whole.
func (d Details) member() (m Member, size int) {
	m.Field = Field(d[0])
	at := 1
	if m.Field == extension {
		if m.Name, at = d.bytesAt(at); at == 0 {
			return m, 0
		}
	}
	m.JSON, at = d.bytesAt(at)
	return m, at
}

func (d Details) bytesAt(at int) (b []byte, next int) {
	length, n := binary.Uvarint(d[at:])
	if n <= 0 || length > uint64(len(d)-at-n) {
		return nil, 0
	}
	at += n
	return d[at : at+int(length) : at+int(length)], at + int(length)
}

// Field finds a common field's JSON; nil when the event did not carry it.
func (d Details) Field(f Field) []byte {
	for m := range d.Members() {
		if m.Field == f && f != extension {
			return m.JSON
		}
	}
	return nil
}

// Extensions counts the extensions.
func (d Details) Extensions() int {
	n := 0
	for m := range d.Members() {
		if m.IsExtension() {
			n++
		}
	}
	return n
}

// withExtensionsOf is d with the extensions of other added; one of the same name is replaced.
// Where other has none, d itself comes back.
func (d Details) withExtensionsOf(other Details) Details {
	if other.Extensions() == 0 {
		return d
	}
	merged := make(Details, 0, len(d)+len(other))
	for m := range d.Members() {
		if m.IsExtension() {
			if !other.hasExtension(m.Name) {
				merged = merged.AppendExtension(m.Name, m.JSON)
			}
		} else {
			merged = merged.AppendField(m.Field, m.JSON)
		}
	}
	for m := range other.Members() {
		if m.IsExtension() {
			merged = merged.AppendExtension(m.Name, m.JSON)
		}
	}
	return merged
}

// withMembersOf is d with the members of other: one of the same name or field is replaced.
func (d Details) withMembersOf(other Details) Details {
	if len(other) == 0 {
		return d
	}
	merged := make(Details, 0, len(d)+len(other))
	for m := range d.Members() {
		switch {
		case m.IsExtension() && !other.hasExtension(m.Name):
			merged = merged.AppendExtension(m.Name, m.JSON)
		case !m.IsExtension() && other.Field(m.Field) == nil:
			merged = merged.AppendField(m.Field, m.JSON)
		}
	}
	return append(merged, other...)
}

// withoutExtensions is d's common fields alone.
func (d Details) withoutExtensions() Details {
	if d.Extensions() == 0 {
		return d
	}
	fields := make(Details, 0, len(d))
	for m := range d.Members() {
		if !m.IsExtension() {
			fields = fields.AppendField(m.Field, m.JSON)
		}
	}
	return fields
}

func (d Details) hasExtension(name []byte) bool { return d.Extension(string(name)) != nil }

// Extension finds an extension's JSON; nil when there is none of that name.
func (d Details) Extension(name string) []byte {
	for m := range d.Members() {
		if m.IsExtension() && string(m.Name) == name {
			return m.JSON
		}
	}
	return nil
}
