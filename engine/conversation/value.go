package conversation

import "strconv"

// Value is a field that the contract calls "long or string": service_type, state_type,
// task_type and their like. It comes back as it was sent, and it is compared by its text,
// so that 5 and "5" are equal while "05" equals neither. The zero Value is absent.
type Value struct {
	text string
	kind valueKind
}

type valueKind uint8

const (
	valueAbsent valueKind = iota
	valueString
	valueInteger
)

// String makes the Value of a JSON string; text is what it decodes to.
func String(text string) Value { return Value{text: text, kind: valueString} }

// Integer makes the Value of a JSON integer.
func Integer(n int64) Value { return Value{text: strconv.FormatInt(n, 10), kind: valueInteger} }

// IntegerText makes the Value of a JSON integer from its digits, which the caller has checked.
func IntegerText(digits string) Value { return Value{text: digits, kind: valueInteger} }

// Present tells whether there is a value at all.
func (v Value) Present() bool { return v.kind != valueAbsent }

// IsInteger tells whether the value was sent as a JSON integer.
func (v Value) IsInteger() bool { return v.kind == valueInteger }

// Text is the decoded string or the digits; empty when absent.
func (v Value) Text() string { return v.text }

// Equal compares by text. Absent equals only absent.
func (v Value) Equal(w Value) bool {
	return v.text == w.text && v.Present() == w.Present()
}
