package bench

import (
	"bytes"
	"fmt"
	html "html/template"
	"math"
	"os"
	"slices"
	"strings"
)

var page = html.Must(html.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>switchboard bench</title>
<style>
body{font:15px sans-serif;margin:2em}
pre{overflow-x:auto}
div{display:grid;grid-template-columns:repeat(auto-fit,minmax(30em,1fr));gap:2em}
svg{width:100%;height:auto}
</style>
<h1>switchboard bench</h1>
<p>{{.When}}, {{.Machine}}</p>
<pre>{{.Table}}</pre>
<div>{{range .Charts}}{{.}}
{{end}}</div></html>
`))

// WriteHTML writes the table and charts as one page without references to anything else.
func (r *Report) WriteHTML(path string) error {
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		return err
	}
	var charts []html.HTML
	for _, c := range r.Charts() {
		svg, err := c.SVG()
		if err != nil {
			return err
		}
		charts = append(charts, html.HTML(svg[strings.Index(svg, "<svg"):])) // without the head of a file
	}
	var b bytes.Buffer
	if err := page.Execute(&b, map[string]any{"When": r.When, "Machine": r.Machine, "Table": table.String(), "Charts": charts}); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Charts are all that there are of a report.
func (r *Report) Charts() (charts []*Chart) {
	const mib = 1 << 20
	for _, c := range []*Chart{
		r.RateOverTime(),
		r.overTime("p99 of each window", "milliseconds", func(p Point) float64 { return p.P99 }),
		r.Percentiles(),
		r.overTime("CPU of the server", "cores", func(p Point) float64 { return p.CPU }),
		r.overTime("Memory of the server", "MiB", func(p Point) float64 { return float64(p.Memory) / mib }),
		r.overTime("Written to disk by the server", "MiB a second", func(p Point) float64 { return float64(p.Written) / mib / p.Long }),
	} {
		if slices.ContainsFunc(c.Lines, func(l Line) bool { return len(l.Points) > 0 }) {
			charts = append(charts, c)
		}
	}
	return charts
}

// RateOverTime is that of all rounds one behind the other.
func (r *Report) RateOverTime() *Chart {
	return r.overTime("Rate", "requests a second", func(p Point) float64 { return p.Rate })
}

// overTime leaves a target's line empty where nothing was seen of it.
func (r *Report) overTime(title, unit string, of func(Point) float64) *Chart {
	c := &Chart{Title: title, X: "seconds", Y: unit}
	if len(r.Targets) > 0 && len(r.Targets[0].Rounds) > 1 {
		c.X = "seconds, rounds one behind the other"
	}
	for _, t := range r.Targets {
		line := Line{Name: t.Name}
		begins, seen := 0.0, false
		for _, round := range t.Rounds {
			for _, p := range round.Points {
				v := of(p)
				seen = seen || v > 0
				line.Points = append(line.Points, [2]float64{begins + p.At, v})
			}
			begins += r.Load.Duration.Seconds()
		}
		if !seen {
			line.Points = nil
		}
		c.Lines = append(c.Lines, line)
	}
	return c
}

// Percentiles is latency by percentile, of each target's round in the middle: each step to the
// right is ten times rarer.
func (r *Report) Percentiles() *Chart {
	c := &Chart{Title: "Latency by percentile", X: "% of the requests take no longer", Y: "milliseconds", Nines: true}
	for _, t := range r.Targets {
		line := Line{Name: t.Name}
		for _, q := range t.middle().Percentiles {
			nines := -math.Log10(1 - q.Percent/100)
			if nines <= rarest && q.Latency > 0 {
				line.Points = append(line.Points, [2]float64{nines, q.Latency})
			}
		}
		c.Lines = append(c.Lines, line)
	}
	return c
}

// middle is the round whose rate is the median, or next to it.
func (t *Rounds) middle() *Round {
	best := t.Rounds[0]
	for _, round := range t.Rounds {
		if m := t.Median(rate); math.Abs(round.Rate-m) < math.Abs(best.Rate-m) {
			best = round
		}
	}
	return best
}
