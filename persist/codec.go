package persist

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// A record is its kind, a byte of flags, the service id, and then only what it has; doc.go
// has the table. The same bytes stand in frames and in rows.
const (
	hasID byte = 1 << iota
	hasRef
	hasAt
	hasShown // else Shown is At
	hasType
	typeIsInteger
	hasContactKey
	hasTimers // auto-complete and expiry
)

var errTorn = errors.New("bytes end too soon")

func appendRecord(to []byte, r *conversation.Record) []byte {
	var flags byte
	set := func(present bool, flag byte) {
		if present {
			flags |= flag
		}
	}
	set(r.ID != 0, hasID)
	set(r.Ref != 0, hasRef)
	set(r.At != 0, hasAt)
	set(r.Shown != r.At, hasShown)
	set(r.Type.Present(), hasType)
	set(r.Type.IsInteger(), typeIsInteger)
	set(r.ContactKey != "", hasContactKey)
	set(r.AutoCompleteAfter != 0 || r.Expires != 0, hasTimers)

	to = append(to, byte(r.Kind), flags)
	to = binary.AppendUvarint(to, uint64(r.Service))
	if flags&hasID != 0 {
		to = binary.AppendUvarint(to, uint64(r.ID))
	}
	if flags&hasRef != 0 {
		to = binary.AppendUvarint(to, uint64(r.Ref))
	}
	if flags&hasAt != 0 {
		to = binary.AppendUvarint(to, uint64(r.At))
	}
	if flags&hasShown != 0 {
		to = binary.AppendVarint(to, int64(r.Shown))
	}
	if flags&hasType != 0 {
		to = appendString(to, r.Type.Text())
	}
	if flags&hasContactKey != 0 {
		to = appendString(to, r.ContactKey)
	}
	if flags&hasTimers != 0 {
		to = binary.AppendUvarint(to, uint64(r.AutoCompleteAfter))
		to = binary.AppendVarint(to, int64(r.Expires))
	}
	to = binary.AppendUvarint(to, uint64(len(r.Details)))
	return append(to, r.Details...)
}

func appendString(to []byte, s string) []byte {
	to = binary.AppendUvarint(to, uint64(len(s)))
	return append(to, s...)
}

// reader walks encoded bytes; after the first error it stays where it is.
type reader struct {
	b   []byte
	err error
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.err != nil || n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = errTorn
	}
	r.b = nil
}

// record reads one record. Its Details point into the reader's bytes.
func (r *reader) record(to *conversation.Record) {
	*to = conversation.Record{Kind: conversation.Kind(r.byte())}
	flags := r.byte()
	to.Service = conversation.ServiceID(r.uvarint())
	if flags&hasID != 0 {
		to.ID = int32(r.uvarint())
	}
	if flags&hasRef != 0 {
		to.Ref = int32(r.uvarint())
	}
	if flags&hasAt != 0 {
		to.At = conversation.Instant(r.uvarint())
	}
	to.Shown = to.At
	if flags&hasShown != 0 {
		to.Shown = conversation.Instant(r.varint())
	}
	if flags&hasType != 0 {
		text := string(r.bytes())
		to.Type = conversation.String(text)
		if flags&typeIsInteger != 0 {
			to.Type = conversation.IntegerText(text)
		}
	}
	if flags&hasContactKey != 0 {
		to.ContactKey = string(r.bytes())
	}
	if flags&hasTimers != 0 {
		to.AutoCompleteAfter = int64(r.uvarint())
		to.Expires = conversation.Instant(r.varint())
	}
	to.Details = r.bytes()
	if len(to.Details) == 0 {
		to.Details = nil
	}
	if r.err == nil {
		r.err = checkRecord(to)
	}
}

// checkRecord is applied right after reading: Apply trusts what comes through here.
func checkRecord(r *conversation.Record) error {
	if !r.Kind.Valid() {
		return fmt.Errorf("record of kind %d", r.Kind)
	}
	if r.Service <= 0 || r.Service > maxServiceID || r.ID < 0 || r.Ref < 0 {
		return fmt.Errorf("%v record of service %d, id %d, ref %d", r.Kind, r.Service, r.ID, r.Ref)
	}
	return r.Details.Check()
}
