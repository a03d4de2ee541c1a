package bench

import (
	"bytes"
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func reportOf(name string, rates ...float64) *Report {
	r := NewReport(newWorkload("found"), Load{Connections: 4})
	for _, of := range rates {
		r.Add(name, &Round{Rate: of, Latency: Latency{P50: 1_000 / of, P99: 5_000 / of}})
	}
	return r
}

// Rounds that overlap are noise, whatever their medians do; rounds that lie apart are a change,
// and one for the worse past the bound is a regression.
func TestVerdicts(t *testing.T) {
	before := reportOf("serve", 100, 104, 98)
	for _, c := range []struct {
		after       []float64
		verdict     Verdict
		regressions int
	}{
		{[]float64{101, 97, 99}, Noise, 0},
		{[]float64{60, 62, 101}, Noise, 0},
		{[]float64{97, 96, 95}, Worse, 0},
		{[]float64{80, 82, 81}, Worse, 3}, // the rate and both latencies
		{[]float64{120, 121, 122}, Better, 0},
	} {
		d, err := Compare(before, reportOf("serve", c.after...))
		if err != nil {
			t.Fatal(err)
		}
		var table bytes.Buffer
		n, err := WriteDifferences(&table, d, 0.05)
		if err != nil || d[0].Verdict != c.verdict || n != c.regressions {
			t.Errorf("after %v: %s, %d regressions (%v), want %s, %d\n%s", c.after, d[0].Verdict, n, err, c.verdict, c.regressions, &table)
		}
	}
}

// Where the whole machine was slower, the share of the ceiling says that nothing has changed.
func TestCompareByTheCeiling(t *testing.T) {
	before, after := reportOf("serve", 50, 51, 52), reportOf("serve", 25, 26, 26)
	for i := range 3 {
		before.Add(Ceiling, &Round{Rate: []float64{100, 101, 104}[i]})
		after.Add(Ceiling, &Round{Rate: []float64{50, 51, 52}[i]})
	}
	d, err := Compare(before, after)
	if err != nil || d[0].Figure != "of ceiling" || d[0].Verdict != Noise {
		t.Errorf("%+v (%v), want noise", d, err)
	}
}

// What cannot be compared is refused, with the reason.
func TestNothingToCompare(t *testing.T) {
	other := reportOf("serve", 1, 2, 3)
	other.Load.Connections = 5
	for want, after := range map[string]*Report{
		"not alike": other,
		"2 rounds":  reportOf("serve", 1, 2),
		"no target": reportOf("engine", 1, 2, 3),
	} {
		if _, err := Compare(reportOf("serve", 1, 2, 3), after); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A line of many points is thinned without losing its lowest and highest ones.
func TestChartsAreThin(t *testing.T) {
	c := Chart{Title: "t", Lines: []Line{{Name: "dips"}}}
	for i := range 10_000 {
		c.Lines[0].Points = append(c.Lines[0].Points, [2]float64{float64(i), 50})
	}
	c.Lines[0].Points[4_321][1], c.Lines[0].Points[7_777][1] = 3, 98
	svg, err := c.SVG()
	if err != nil || len(svg) > 20_000 {
		t.Errorf("%d bytes (%v)", len(svg), err)
	}
	points := c.Lines[0].Points
	if len(points) > mostPoints || !slices.Contains(points, [2]float64{4_321, 3}) || !slices.Contains(points, [2]float64{7_777, 98}) {
		t.Errorf("%d points are left, without the dip or the peak", len(points))
	}
	if !slices.IsSortedFunc(points, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) }) {
		t.Error("the points are out of order")
	}
}

// A report comes back from its file as it was, and says in its table and page what it holds.
func TestReportFiles(t *testing.T) {
	r := reportOf("serve", 100, 104, 98)
	r.Targets[0].Rounds[1].Points = []Point{{At: 1, Rate: 104, CPU: 0.5}, {At: 2, Rate: 103, CPU: 0.6}}
	r.Targets[0].Rounds[0].Percentiles = []Percentile{{50, 9}, {75, 12}, {100, 20}}
	path := filepath.Join(t.TempDir(), "report")
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	again, err := ReadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if r.WriteTable(&a) != nil || again.WriteTable(&b) != nil || a.String() != b.String() || !strings.Contains(a.String(), "from 98 to 104/s") {
		t.Errorf("the table was\n%s\nand is\n%s", &a, &b)
	}
	if err := r.WriteHTML(path); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReport(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a page read as a report: %v", err)
	}
}
