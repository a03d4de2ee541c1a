package bench

import (
	"bytes"
	"fmt"
	html "html/template"
	"math"
	"os"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The size of one plot on the page.
const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 9 * vg.Centimeter
)

var page = html.Must(html.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>switchboard bench</title>
<style>body{font:15px sans-serif;margin:2em}svg{max-width:100%;height:auto}pre{overflow-x:auto}</style>
<h1>switchboard bench</h1>
<p>{{.When}}, {{.Machine}}</p>
<pre>{{.Table}}</pre>
{{range .Plots}}{{.}}
{{end}}</html>
`))

// WriteHTML writes the table and plots as one page without references to anything else.
func (r *Report) WriteHTML(path string) error {
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		return err
	}
	var plots []html.HTML
	for _, p := range r.plots() {
		svg, err := drawn(p)
		if err != nil {
			return fmt.Errorf("draw %q: %w", p.Title.Text, err)
		}
		plots = append(plots, svg)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, map[string]any{"When": r.When, "Machine": r.Machine, "Table": table.String(), "Plots": plots}); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// drawn is a plot as SVG within a page: without the head of a file of its own.
func drawn(p *plot.Plot) (html.HTML, error) {
	c := vgsvg.New(plotWidth, plotHeight)
	p.Draw(draw.New(c))
	var b strings.Builder
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	svg := b.String()
	return html.HTML(svg[strings.Index(svg, "<svg"):]), nil
}

// plots are of the rounds one behind the other, as they were.
func (r *Report) plots() (plots []*plot.Plot) {
	for _, over := range []struct {
		title, unit string
		of          func(Point) float64
	}{
		{"Rate", "requests/s", func(p Point) float64 { return p.Rate }},
		{"p99 of each window", "ms", func(p Point) float64 { return p.P99 }},
		{"CPU of the server", "cores", func(p Point) float64 { return p.CPU }},
		{"Memory of the server", "MiB", func(p Point) float64 { return float64(p.Memory) / (1 << 20) }},
		{"Written to disk by the server in each window", "MiB", func(p Point) float64 { return float64(p.Written) / (1 << 20) }},
	} {
		p := plot.New()
		p.Title.Text, p.X.Label.Text, p.Y.Label.Text = over.title, "s", over.unit
		seen := false
		for i, t := range r.Targets {
			var line plotter.XYs
			begins := 0.0
			for _, round := range t.Rounds {
				for _, point := range round.Points {
					v := over.of(point)
					seen = seen || v > 0
					line = append(line, plotter.XY{X: begins + point.At, Y: v})
				}
				begins += r.Load.Duration.Seconds()
			}
			add(p, i, t.Name, line)
		}
		p.Y.Min = 0
		if seen {
			plots = append(plots, p)
		}
	}
	return append(plots, r.percentiles())
}

// percentiles is latency by percentile, of each target's round in the middle: each step to the
// right is ten times rarer.
func (r *Report) percentiles() *plot.Plot {
	const rarest = 6 // nines
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "Latency by percentile", "%", "ms"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	var ticks plot.ConstantTicks
	for nines := range rarest {
		left := math.Pow(10, -float64(nines)) // of the requests
		ticks = append(ticks, plot.Tick{Value: float64(nines), Label: fmt.Sprint(math.Round(1e9*(1-left)) / 1e7)})
	}
	p.X.Tick.Marker = ticks
	for i, t := range r.Targets {
		var line plotter.XYs
		for _, q := range t.middle().Percentiles {
			if q.Percent < 100 && q.Latency > 0 {
				line = append(line, plotter.XY{X: -math.Log10(1 - q.Percent/100), Y: q.Latency})
			}
		}
		add(p, i, t.Name, line)
	}
	if p.Y.Min <= 0 || p.Y.Min > p.Y.Max { // nothing was answered, and a log axis needs a span
		p.Y.Min, p.Y.Max = 1, 10
	}
	return p
}

// middle is the round whose rate is the median, or next to it.
func (t *Rounds) middle() *Round {
	best := t.Rounds[0]
	for _, round := range t.Rounds {
		if m := t.median(rate); math.Abs(round.Rate-m) < math.Abs(best.Rate-m) {
			best = round
		}
	}
	return best
}

func add(p *plot.Plot, i int, name string, points plotter.XYs) {
	if len(points) == 0 {
		return
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return // a value that is no number: none of the above can be
	}
	line.Color = plotutil.Color(i)
	line.Width = vg.Points(1.5)
	p.Add(line)
	p.Legend.Add(name, line)
	p.Legend.Top = true
}
