package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// reportVersion is of the JSON; another one is refused.
const reportVersion = 1

// Report is all that a bench found out, as --json writes it.
type Report struct {
	Version  int       `json:"version"`
	When     time.Time `json:"when"`
	Machine  string    `json:"machine"`
	Workload Workload  `json:"workload"`
	Load     Load      `json:"load"`
	Search   string    `json:"search,omitempty"` // the bound that each target's own rate was looked for with
	Targets  []*Rounds `json:"targets"`
}

// Rounds are those of one target, which alternated with the others.
type Rounds struct {
	Name   string   `json:"name"`
	Rounds []*Round `json:"rounds"`
}

// NewReport begins one.
func NewReport(w Workload, l Load) *Report {
	return &Report{
		Version:  reportVersion,
		When:     time.Now().UTC().Truncate(time.Second),
		Machine:  fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Workload: w,
		Load:     l,
	}
}

// Add notes a round of a target.
func (r *Report) Add(name string, round *Round) {
	t := r.Target(name)
	if t == nil {
		t = &Rounds{Name: name}
		r.Targets = append(r.Targets, t)
	}
	t.Rounds = append(t.Rounds, round)
}

// Target is that of the name, nil for none.
func (r *Report) Target(name string) *Rounds {
	for _, t := range r.Targets {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Median of what each round shows.
func (t *Rounds) Median(of func(*Round) float64) float64 { return Median(t.Each(of)) }

// Each is what each round shows.
func (t *Rounds) Each(of func(*Round) float64) []float64 {
	values := make([]float64, len(t.Rounds))
	for i, r := range t.Rounds {
		values[i] = of(r)
	}
	return values
}

// Median is the one in the middle, or between the two that are.
func Median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func rate(r *Round) float64 { return r.Rate }

// Rates are those of all rounds.
func (t *Rounds) Rates() []float64 { return t.Each(rate) }

// Shares is each round's rate as a share of the ceiling's in the same round: what the machine did
// at that time is in both. Nil where there is no ceiling.
func (r *Report) Shares(t *Rounds) (shares []float64) {
	ceiling := r.Target(Ceiling)
	if ceiling == nil || ceiling == t || r.Load.Rate > 0 {
		return nil
	}
	for i := range min(len(t.Rounds), len(ceiling.Rounds)) {
		if ceiling.Rounds[i].Rate > 0 {
			shares = append(shares, t.Rounds[i].Rate/ceiling.Rounds[i].Rate)
		}
	}
	return shares
}

// Title says in a line what was measured.
func (r *Report) Title() string {
	w, l := r.Workload, r.Load
	var b strings.Builder
	b.WriteString(w.Name)
	if w.Name == "composite" {
		fmt.Fprintf(&b, ", %.4g %% creating", 100*w.Creating)
	}
	if known := w.known(); known > 1 {
		fmt.Fprintf(&b, ", %d customers to find", known)
		if w.Skew > 0 {
			fmt.Fprintf(&b, " by Zipf's law with exponent %v", w.Skew)
		}
	}
	if w.Items > 1 {
		fmt.Fprintf(&b, ", %d items a request", w.Items)
	}
	if w.Body != Bodies[0][0] {
		fmt.Fprintf(&b, ", %s bodies", w.Body)
	}
	fmt.Fprintf(&b, "; %d connections", l.Connections)
	switch {
	case r.Search != "":
		fmt.Fprintf(&b, ", the highest rate that keeps %s", r.Search)
	case l.Rate > 0:
		fmt.Fprintf(&b, ", %.6g requests a second", l.Rate)
	default:
		b.WriteString(", each sending when it was answered")
	}
	fmt.Fprintf(&b, "; %v after %v of warm-up; seed %d", l.Duration, l.Warmup, w.Seed)
	return b.String()
}

// WriteTable writes the medians over the rounds.
func (r *Report) WriteTable(to io.Writer) error {
	fmt.Fprintf(to, "%s\n\n", r.Title())
	return r.WriteMedians(to)
}

// WriteMedians writes the table without what was measured.
func (r *Report) WriteMedians(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "target\trequests/s\tof ceiling\tp50 ms\tp99 ms\tp99.9 ms\tp99.99 ms\tmax ms\tserver µs\tload µs\tmemory\twritten\terrors\t")
	for _, t := range r.Targets {
		of := t.Median
		share := "-"
		if s := r.Shares(t); len(s) > 0 {
			share = fmt.Sprintf("%.2f", Median(s))
		}
		var errors int64
		for _, round := range t.Rounds {
			for _, n := range round.Errors {
				errors += n
			}
		}
		fmt.Fprintf(table, "%s\t%.0f\t%s\t%.3g\t%.3g\t%.3g\t%.3g\t%.3g\t%s\t%.1f\t%s\t%s\t%d\t\n", t.Name, of(rate), share,
			of(func(r *Round) float64 { return r.Latency.P50 }), of(func(r *Round) float64 { return r.Latency.P99 }),
			of(func(r *Round) float64 { return r.Latency.P999 }), of(func(r *Round) float64 { return r.Latency.P9999 }),
			of(func(r *Round) float64 { return r.Latency.Max }),
			orDash("%.1f", of(func(r *Round) float64 { return r.ServerCPU })), of(func(r *Round) float64 { return r.LoadCPU }),
			orDash("%.0f MiB", of(func(r *Round) float64 { return float64(r.Memory) / (1 << 20) })),
			orDash("%.0f B", of(func(r *Round) float64 { return r.Written })), errors)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return r.writeNotes(to)
}

// writeNotes tells what the medians hide: spread, errors by kind, a load that was late.
func (r *Report) writeNotes(to io.Writer) (err error) {
	for _, t := range r.Targets {
		if len(t.Rounds) > 1 {
			rates := t.Each(rate)
			_, err = fmt.Fprintf(to, "%s: %d rounds from %.0f to %.0f/s\n", t.Name, len(rates), slices.Min(rates), slices.Max(rates))
		}
		for _, round := range t.Rounds {
			for _, kind := range slices.Sorted(maps.Keys(round.Errors)) {
				_, err = fmt.Fprintf(to, "%s: %d times %s\n", t.Name, round.Errors[kind], kind)
			}
			if round.FirstError != "" {
				_, err = fmt.Fprintf(to, "%s: the first was %s\n", t.Name, round.FirstError)
			}
			if round.Unsent > 0 {
				_, err = fmt.Fprintf(to, "%s: %d requests were due and never sent; what they waited counts in the latencies\n", t.Name, round.Unsent)
			}
			if round.LateP99 > 0 {
				_, err = fmt.Fprintf(to, "%s: the load itself was at most %.3g ms late in 99 %% of what it slept for\n", t.Name, round.LateP99)
			}
		}
	}
	return err
}

func orDash(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// WriteFile writes the report as JSON.
func (r *Report) WriteFile(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// ReadReport reads what WriteFile wrote.
func ReadReport(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, d := new(Report), json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	if r.Version != reportVersion {
		return nil, fmt.Errorf("read report %s: version %d, this program reads %d", path, r.Version, reportVersion)
	}
	return r, nil
}
