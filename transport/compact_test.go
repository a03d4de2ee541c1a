package transport

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

var compactSeed = flag.Uint64("compact.seed", 0, "seed of the random texts; 0 takes the time")

// Without its white space a text is valid JSON exactly where it was so before, and then what the
// library makes of it; however strings, escapes and white space lie. Its extent is all of it.
func TestCompact(t *testing.T) {
	seed := *compactSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-compact.seed=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	valid := 0
	for range 200_000 {
		if compactAgrees(t, randomText(random)) {
			valid++
		}
	}
	if valid < 1_000 {
		t.Errorf("only %d texts were valid", valid)
	}
}

// randomText is often JSON, and else close to it.
func randomText(random *rand.Rand) []byte {
	pieces := []string{
		"{", "}", "[", "]", ",", ":", `"a"`, `"b"`, `"a":`, `"b" :`, "1", "-", "0.5", "e3", "null", "tr", "ue", "true", `"`, `\`, `\"`, `"\\"`, `"\""`,
		`"long enough for eight \\\" twice"`, `"x\\\\"`, " ", "\n", "\r\n", "\t", "        ", "\n            ", "\f", "\x00", "ü", "\xff",
	}
	if random.IntN(2) == 0 { // an array of such as may stand there
		pieces = []string{`"a"`, "1", "{}", "[ ]", `{"a": [1 , "2 " ]}`, "true ", `"\\" `, `"\"  , "`, "1 2"}
		text := []byte("[ ")
		for n := random.IntN(6); n >= 0; n-- {
			text = append(append(text, pieces[random.IntN(len(pieces))]...), " \n        "[:random.IntN(10)]...)
			if n > 0 {
				text = append(text, ',')
			}
		}
		return append(text, ']')
	}
	var text []byte
	for range random.IntN(12) {
		text = append(text, pieces[random.IntN(len(pieces))]...)
	}
	return text
}

func compactAgrees(t *testing.T, text []byte) (valid bool) {
	t.Helper()
	got := appendCompact([]byte("before"), text)[len("before"):]
	if valid = jsontext.Value(text).IsValid(); valid != jsontext.Value(got).IsValid() {
		t.Fatalf("%q: valid %v, and so is not %q", text, valid, got)
	}
	length, _ := extent(got) // of what is not valid, anything, but no panic
	if !valid {
		return false
	}
	want := jsontext.Value(bytes.Clone(text))
	if err := want.Compact(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%q becomes %q, should be %q", text, got, want)
	}
	if length != len(got) {
		t.Fatalf("%q ends after %d bytes, by its extent", got, length)
	}
	return true
}

func FuzzCompact(f *testing.F) {
	for _, text := range []string{`{"a" : [1, 2 , "x\\" ]}`, "1 2", `"\`, "[\n        1]", "- 1", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { compactAgrees(t, text) })
}
