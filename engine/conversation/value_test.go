package conversation_test

import (
	"testing"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// A long or string is compared by its text, whatever it was sent as, and absent equals only
// absent.
func TestValueEqual(t *testing.T) {
	absent := conversation.Value{}
	str, num, text := conversation.String, conversation.Integer, conversation.IntegerText
	for _, test := range []struct {
		a, b conversation.Value
		want bool
	}{
		{num(5), num(5), true},
		{num(5), str("5"), true},
		{num(5), text("5"), true},
		{num(-5), str("-5"), true},
		{num(5), str("05"), false},
		{str("5"), str("05"), false},
		{str("card"), str("Card"), false},
		{text("9007199254740993"), num(9007199254740993), true},
		{absent, absent, true},
		{absent, str(""), false}, // an empty string is a value
		{str(""), str(""), true},
		{absent, num(0), false},
	} {
		if got := test.a.Equal(test.b); got != test.want {
			t.Errorf("%+v equal to %+v: %v", test.a, test.b, got)
		}
		if got := test.b.Equal(test.a); got != test.want {
			t.Errorf("%+v equal to %+v: %v", test.b, test.a, got)
		}
	}
}

// A value comes back as it was sent: an integer as an integer, a string as a string.
func TestValueAsSent(t *testing.T) {
	if v := conversation.Integer(5); !v.IsInteger() || !v.Present() || v.Text() != "5" {
		t.Errorf("integer 5: %+v", v)
	}
	if v := conversation.String("5"); v.IsInteger() || !v.Present() || v.Text() != "5" {
		t.Errorf("string 5: %+v", v)
	}
	if v := (conversation.Value{}); v.IsInteger() || v.Present() || v.Text() != "" {
		t.Errorf("absent: %+v", v)
	}
}
