package bench

import (
	"math/rand/v2"
	"strings"
)

// vocabulary is what notes and offers are made of: enough words that two notes differ, few
// enough that they compress as notes of a call centre do.
var vocabulary = strings.Fields(`account agent airport amount answer balance bank billing branch
broken cancel card change charge check claim client closed contract country credit customer date
debit delay delivery deposit desk device discount dispute document double early email error
escalate exchange family fee flight form fraud gold guest help holiday hotel house income
insurance interest invoice late letter limit line loan lost loyalty manager market member mobile
money month morning mortgage network night number offer office online open order owner package
paid password payment pending phone plan platinum point policy premium price private product
profile program promise quality question queue rate receipt record refund region renewal repair
request resort response return review room safety sale saving school score seat second secure
service shipping signal silver station status stolen store street support survey switch team
ticket time title tone total travel trip update upgrade urgent value visit voice waiting warning
week window winter wire worker yearly`)

// A prose is a long random text of which a run of words is taken at one draw.
type prose struct {
	text   []byte
	starts []int32 // of each word
}

const (
	// proseWords makes two of a frame's phrases overlap seldom, and the text small enough for
	// a core's second cache.
	proseWords = 16_384
	// maxPhrase is the longest run that a template may ask for.
	maxPhrase = 16
)

// prosaic is the same in every run: what a seed decides is where phrases begin.
var prosaic = newProse()

func newProse() *prose {
	p := &prose{starts: make([]int32, 0, proseWords+1)}
	r := rand.New(rand.NewPCG(proseWords, 0))
	for range proseWords {
		p.starts = append(p.starts, int32(len(p.text)))
		p.text = append(append(p.text, vocabulary[r.IntN(len(vocabulary))]...), ' ')
	}
	p.starts = append(p.starts, int32(len(p.text)))
	return p
}

// phrase appends so many words, from a drawn place on.
func (p *prose) phrase(b []byte, draw uint64, words int) []byte {
	from := int(draw % uint64(proseWords-maxPhrase))
	return append(b, p.text[p.starts[from]:p.starts[from+words]-1]...)
}
