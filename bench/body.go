package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
)

// A template is a JSON text cut where it differs from request to request. Appending it copies
// the fixed pieces and draws what stands between them: nothing is marshalled, nothing allocated.
type template []piece

type piece struct {
	text []byte // fixed
	slot slot   // what follows it
	n    int    // words of a phrase
}

type slot uint8

const (
	nothing     slot = iota
	phrase           // n words
	interaction      // an id such as 1F3A09C2D4E5F60718
	number           // 1 to 99
	customer
	service    // the id that the server gave
	eventBegin // the object of one event begins, and ends
	eventEnd
)

// varied finds what is drawn anew: notes, comments, names of offers and places, ids of
// interactions, and every number whose name is letters alone. The other numbers, such as
// application_id, stay the same from call to call, as do types.
var varied = regexp.MustCompile(`("(?:notes|comments|offer_name|place|OfferService|OfferState|OfferTask)"\s*:\s*")[^"]*` +
	`|("interaction_id"\s*:\s*")[^"]*` +
	`|("[A-Za-z]+"\s*:\s*)\d+(?:\.\d+)?` +
	`|("customer_id"\s*:\s*")[^"]*` +
	`|(/services/)\{service\}` +
	`|(/customers/)[^/]+`)

var varies = []slot{phrase, interaction, number, customer, service, customer}

func newTemplate(text []byte) template {
	var t template
	from := 0
	for _, m := range varied.FindAllSubmatchIndex(text, -1) {
		for i, s := range varies {
			start, end := m[2+2*i], m[3+2*i] // of the group: the part that stays
			if start < 0 {
				continue
			}
			words := len(bytes.Fields(text[end:m[1]]))
			if words > maxPhrase {
				panic(fmt.Sprintf("bench: a phrase of %d words, the most is %d", words, maxPhrase))
			}
			t = append(t, piece{text[from:end], s, words})
			from = m[1]
		}
	}
	return append(t, piece{text: text[from:]})
}

// newItemTemplate is that of one item of a composite start, with its three events marked.
func newItemTemplate(item []byte) template {
	var t template
	from := 0
	for _, name := range []string{`"service"`, `"state"`, `"task"`} {
		start := bytes.Index(item, []byte(name)) + len(name)
		start += bytes.IndexByte(item[start:], '{')
		end := start + objectLength(item[start:])
		t = append(append(t, newTemplate(item[from:start])...), piece{slot: eventBegin})
		t = append(append(t, newTemplate(item[start:end])...), piece{slot: eventEnd})
		from = end
	}
	return append(t, newTemplate(item[from:])...)
}

// objectLength is the length of the JSON object that text begins with.
func objectLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += 1 + bytes.IndexByte(text[i+1:], '"') // the templates escape nothing
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	panic(fmt.Sprintf("bench: an object that does not end: %.40q", text))
}

// A filling is what a request is told apart by.
type filling struct {
	draw     *rand.PCG
	customer []byte
	service  int64
	events   [6]int // where the last item's events began and ended
}

const hexadecimal = "0123456789ABCDEF"

// append adds the text to b.
func (t template) append(b []byte, f *filling) []byte {
	events := 0
	for i := range t {
		p := &t[i]
		b = append(b, p.text...)
		switch p.slot {
		case phrase:
			b = prosaic.phrase(b, f.draw.Uint64(), p.n)
		case interaction:
			x := f.draw.Uint64()
			for range 16 {
				b = append(b, hexadecimal[x&15])
				x >>= 4
			}
		case number:
			b = strconv.AppendUint(b, 1+f.draw.Uint64()%99, 10)
		case customer:
			b = append(b, f.customer...)
		case service:
			b = strconv.AppendInt(b, f.service, 10)
		case eventBegin, eventEnd:
			f.events[events] = len(b)
			events++
		}
	}
	return b
}
