package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	chartWidth  = 17 * vg.Centimeter
	chartHeight = 8 * vg.Centimeter
	// mostPoints of a line are as many as can be told apart at that width.
	mostPoints = 400
	// headroom keeps a line off the chart's upper end, as a share of its height.
	headroom = 0.05
	// rarest is how many nines the axis of percentiles goes to: 99.999 %.
	rarest = 5
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// Chart is lines over one pair of axes.
type Chart struct {
	Title string `json:"title"`
	X     string `json:"x"` // the axis, with its unit
	Y     string `json:"y"`
	Nines bool   `json:"nines,omitempty"` // X counts nines, of which 2 are 99 %, and Y grows by factors
	Lines []Line `json:"lines"`
}

// Line is one of a chart.
type Line struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

// Thin leaves each line as many points as can be told apart: of those that fall together the lowest
// and the highest, so that no dip is lost.
func (c *Chart) Thin() {
	for i := range c.Lines {
		points := c.Lines[i].Points
		if len(points) <= mostPoints {
			continue
		}
		var kept [][2]float64
		byHeight := func(a, b [2]float64) int { return cmp.Compare(a[1], b[1]) }
		for part := range slices.Chunk(points, (2*len(points)+mostPoints-1)/mostPoints) {
			low, high := slices.MinFunc(part, byHeight), slices.MaxFunc(part, byHeight)
			if low[0] > high[0] {
				low, high = high, low
			}
			kept = append(kept, low, high)
		}
		c.Lines[i].Points = kept
	}
}

// SVG draws the chart as a file of its own.
func (c *Chart) SVG() (string, error) {
	c.Thin()
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Title.Padding = vg.Points(6)
	p.X.Tick.Marker, p.Y.Tick.Marker = readable{plot.DefaultTicks{}}, readable{plot.DefaultTicks{}}
	p.Add(plotter.NewGrid())
	legend := plot.NewLegend()
	legend.Top, legend.Left = true, true
	legend.Padding, legend.XOffs = vg.Points(3), vg.Points(8)
	for i, line := range c.Lines {
		if len(line.Points) == 0 {
			continue // and its colour stays its own
		}
		xys := make(plotter.XYs, len(line.Points))
		for j, xy := range line.Points {
			xys[j] = plotter.XY{X: xy[0], Y: xy[1]}
		}
		drawn, err := plotter.NewLine(xys)
		if err != nil {
			return "", fmt.Errorf("draw %q: %s: %w", c.Title, line.Name, err)
		}
		drawn.Color, drawn.Width = plotutil.Color(i), vg.Points(1.5)
		p.Add(drawn)
		legend.Add(line.Name, drawn)
	}
	c.scale(p)
	canvas := vgsvg.New(chartWidth, chartHeight)
	whole := draw.New(canvas)
	beside := legend.Rectangle(whole).Size().X + 2*legend.XOffs
	p.Draw(draw.Crop(whole, 0, -beside, 0, 0))
	legend.Draw(draw.Crop(whole, whole.Rectangle.Size().X-beside, 0, 0, -vg.Points(24)))
	var b strings.Builder
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("draw %q: %w", c.Title, err)
	}
	return b.String(), nil
}

// scale sets the axes' ends.
func (c *Chart) scale(p *plot.Plot) {
	if !c.Nines {
		p.X.Min, p.Y.Min = min(0, p.X.Min), min(0, p.Y.Min)
		p.Y.Max += headroom * (p.Y.Max - p.Y.Min)
		return
	}
	var ticks plot.ConstantTicks
	for nines := range rarest + 1 {
		left := math.Pow(10, -float64(nines)) // of the requests
		ticks = append(ticks, plot.Tick{Value: float64(nines), Label: fmt.Sprint(math.Round(1e9*(1-left)) / 1e7)})
	}
	p.X.Tick.Marker, p.X.Min, p.X.Max = ticks, 0, rarest
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, readable{plot.LogTicks{Prec: -1}}
	if p.Y.Min <= 0 || p.Y.Min >= p.Y.Max { // nothing was answered, and a log axis needs a span
		p.Y.Min, p.Y.Max = 1, 10
	}
	p.Y.Min = math.Pow(10, math.Floor(math.Log10(p.Y.Min)))
	p.Y.Max = math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
}

// readable writes 25,000 where the ticks have 25000.00.
type readable struct{ plot.Ticker }

func (r readable) Ticks(least, most float64) []plot.Tick {
	ticks := r.Ticker.Ticks(least, most)
	for i := range ticks {
		if ticks[i].Label == "" {
			continue
		}
		text := strconv.FormatFloat(math.Round(1e6*ticks[i].Value)/1e6, 'f', -1, 64)
		whole, fraction, _ := strings.Cut(text, ".")
		for at := len(whole) - 3; at > 0 && whole[at-1] != '-'; at -= 3 {
			whole = whole[:at] + "," + whole[at:]
		}
		if ticks[i].Label = whole; fraction != "" {
			ticks[i].Label += "." + fraction
		}
	}
	return ticks
}
