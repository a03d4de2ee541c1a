package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Verdict is what a difference between two runs amounts to.
type Verdict string

// The verdicts. Noise is a difference no larger than the rounds of one run differ by among
// themselves.
const (
	Noise  Verdict = "noise"
	Better Verdict = "better"
	Worse  Verdict = "worse"
)

// minRounds is how many there must be to tell the spread of.
const minRounds = 3

// Difference is one figure of one target in two reports.
type Difference struct {
	Target, Figure string
	Before, After  float64 // medians over the rounds
	Spread         float64 // the larger of the two runs' own, as a share
	Change         float64 // as a share of Before
	Verdict        Verdict
}

// figures are what is compared.
var figures = []struct {
	name        string
	of          func(*Round) float64
	moreIsWorse bool
}{
	{"requests/s", rate, false},
	{"p50 ms", func(r *Round) float64 { return r.Latency.P50 }, true},
	{"p99 ms", func(r *Round) float64 { return r.Latency.P99 }, true},
	{"server µs", func(r *Round) float64 { return r.ServerCPU }, true},
	{"written B", func(r *Round) float64 { return r.Written }, true},
}

// Compare tells how each target that is in both reports has changed. Where both have a ceiling, the
// rate counts as a share of it: the machine's own ups and downs are in both.
func Compare(before, after *Report) (d []Difference, err error) {
	if a, b := before.asked(), after.asked(); a != b {
		return nil, fmt.Errorf("they are not alike: before %s; after %s", a, b)
	}
	for _, b := range before.Targets {
		a := after.Target(b.Name)
		if a == nil {
			continue
		}
		if n := min(len(a.Rounds), len(b.Rounds)); n < minRounds {
			return nil, fmt.Errorf("%s has %d rounds; noise can be told from change with %d or more", b.Name, n, minRounds)
		}
		for _, f := range figures {
			name, was, is := f.name, b.Each(f.of), a.Each(f.of)
			if shared, shares := before.Shares(b), after.Shares(a); name == figures[0].name && len(shared) >= minRounds && len(shares) >= minRounds {
				name, was, is = "of ceiling", shared, shares
			}
			if Median(was) == 0 || Median(is) == 0 {
				continue // not seen
			}
			d = append(d, differ(b.Name, name, was, is, f.moreIsWorse))
		}
	}
	if len(d) == 0 {
		return nil, fmt.Errorf("no target is in both reports")
	}
	return d, nil
}

// asked says what was, without the seed.
func (r *Report) asked() string {
	alike := *r
	alike.Workload.Seed = 0
	return alike.Title()
}

// differ judges one figure. It has changed where the rounds of the one run all lie on one side of
// those of the other.
func differ(target, figure string, before, after []float64, moreIsWorse bool) Difference {
	d := Difference{
		Target: target, Figure: figure, Before: Median(before), After: Median(after),
		Spread: max(spread(before), spread(after)), Verdict: Noise,
	}
	d.Change = d.After/d.Before - 1
	if apart(before, after) {
		d.Verdict = Better
		if (d.Change > 0) == moreIsWorse {
			d.Verdict = Worse
		}
	}
	return d
}

func apart(a, b []float64) bool {
	return slices.Min(a) > slices.Max(b) || slices.Max(a) < slices.Min(b)
}

// spread is how far rounds lie from their median, as a share of it.
func spread(v []float64) float64 {
	m := Median(v)
	return max(slices.Max(v)-m, m-slices.Min(v)) / m
}

// WriteDifferences writes them as a table, and returns those that are worse by more than the bound,
// which is a share.
func WriteDifferences(to io.Writer, differences []Difference, bound float64) (regressions int, err error) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "target\tfigure\tbefore\tafter\tchange\tspread\tverdict\t")
	for _, d := range differences {
		verdict := string(d.Verdict)
		size := max(d.Change, -d.Change)
		if d.Verdict == Worse && size > bound && d.Target != Ceiling {
			regressions++
			verdict += fmt.Sprintf(", past %.3g %%", 100*bound)
		}
		fmt.Fprintf(table, "%s\t%s\t%.4g\t%.4g\t%+.1f %%\t±%.1f %%\t%s\t\n", d.Target, d.Figure, d.Before, d.After, 100*d.Change, 100*d.Spread, verdict)
	}
	return regressions, table.Flush()
}
