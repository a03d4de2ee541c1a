package conversation

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// mergeObjects gives stored with the members of sent: those of the same name are replaced
// where they stand, new ones follow. Both are valid JSON without white space between tokens,
// and so is what comes back. It is an error when one of them is no object.
func mergeObjects(stored, sent []byte) ([]byte, error) {
	have, err := membersOf(stored)
	if err != nil {
		return nil, fmt.Errorf("what is stored %w", err)
	}
	more, err := membersOf(sent)
	if err != nil {
		return nil, fmt.Errorf("what was sent %w", err)
	}
	at := make(map[string]int, len(have)) // by decoded name: a client may escape what another does not
	for i, m := range have {
		at[m.decoded] = i
	}
	for _, m := range more {
		if i, known := at[m.decoded]; known {
			have[i].value = m.value
		} else {
			have = append(have, m)
		}
	}
	merged := make([]byte, 0, len(stored)+len(sent))
	merged = append(merged, '{')
	for i, m := range have {
		if i > 0 {
			merged = append(merged, ',')
		}
		merged = append(append(append(merged, m.name...), ':'), m.value...)
	}
	return append(merged, '}'), nil
}

type objectMember struct {
	decoded     string // its name
	name, value []byte // as they stand
}

func membersOf(object []byte) (members []objectMember, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if d.PeekKind() != jsontext.KindBeginObject {
		return nil, fmt.Errorf("is no object: %.64s", object)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != jsontext.KindEndObject {
		name, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		m := objectMember{name: bytes.Clone(name)}
		decoded, err := jsontext.AppendUnquote(nil, m.name)
		if err != nil {
			return nil, err
		}
		m.decoded = string(decoded)
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		m.value = bytes.Clone(value)
		members = append(members, m)
	}
	return members, nil
}
