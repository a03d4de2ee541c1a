package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Bound is a latency that a search keeps.
type Bound struct {
	Name  string // of the percentile, such as p99
	Limit time.Duration
	of    func(Latency) float64
}

// ParseBound reads one such as p99=3ms.
func ParseBound(text string) (Bound, error) {
	name, limit, _ := strings.Cut(text, "=")
	b := Bound{Name: name}
	switch name {
	case "p50":
		b.of = func(l Latency) float64 { return l.P50 }
	case "p90":
		b.of = func(l Latency) float64 { return l.P90 }
	case "p99":
		b.of = func(l Latency) float64 { return l.P99 }
	case "p99.9":
		b.of = func(l Latency) float64 { return l.P999 }
	case "p99.99":
		b.of = func(l Latency) float64 { return l.P9999 }
	case "max":
		b.of = func(l Latency) float64 { return l.Max }
	default:
		return b, fmt.Errorf("must be p50, p90, p99, p99.9, p99.99 or max with a time, such as p99=3ms, not %q", text)
	}
	var err error
	if b.Limit, err = time.ParseDuration(limit); err != nil || b.Limit <= 0 {
		return b, fmt.Errorf("must have a time behind %s=, such as 3ms, not %q", name, limit)
	}
	return b, nil
}

// keeps tells whether a round at some rate stayed within the bound, what was never sent included,
// with no error and in fact at that rate.
func (b Bound) keeps(r *Round, rate float64) bool {
	const enough = 0.98 // what is in flight at the end is a part of a short run
	return len(r.Errors) == 0 && r.Rate >= enough*rate && b.of(r.Latency) <= milliseconds(int64(b.Limit))
}

// searchWithin is how close the rate that keeps the bound and the one that does not must come.
const searchWithin = 0.05

// errNoRate tells that even the lowest rate tried breaks the bound.
var errNoRate = errors.New("no rate keeps the bound")

// Search finds the highest rate at which the target keeps the bound: below what it answers when
// each connection sends as soon as it was answered, by halving.
func (s *Subject) Search(ctx context.Context, l Load, b Bound, progress io.Writer) (rate float64, err error) {
	l.Rate = 0
	free, err := s.Run(ctx, l)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(progress, "%s: %.0f/s without a pace\n", s.Target.Name(), free.Rate)
	rate, err = highest(free.Rate, func(rate float64) (bool, error) {
		l.Rate = rate
		r, err := s.Run(ctx, l)
		if err != nil {
			return false, err
		}
		kept, verdict := b.keeps(r, rate), "breaks"
		if kept {
			verdict = "keeps"
		}
		fmt.Fprintf(progress, "%s: %.0f/s %s %s=%v: %.3g ms, answered %.0f/s, %d unsent, %d errors\n",
			s.Target.Name(), rate, verdict, b.Name, b.Limit, b.of(r.Latency), r.Rate, r.Unsent, sum(r.Errors))
		return kept, nil
	})
	if errors.Is(err, errNoRate) {
		err = fmt.Errorf("%s: %s=%v: %w", s.Target.Name(), b.Name, b.Limit, err)
	}
	return rate, err
}

// highest halves the span between a rate that keeps and one that does not; most is taken not to.
func highest(most float64, keeps func(rate float64) (bool, error)) (float64, error) {
	const least = 1.0 / 256 // of most: eight steps down
	low, high := 0.0, most
	for high-low > searchWithin*high {
		middle := (low + high) / 2
		if middle < most*least {
			return 0, errNoRate
		}
		kept, err := keeps(middle)
		if err != nil {
			return 0, err
		}
		if kept {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

func sum(errors map[string]int64) (n int64) {
	for _, of := range errors {
		n += of
	}
	return n
}
