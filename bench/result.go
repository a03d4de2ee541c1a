package bench

import (
	"github.com/HdrHistogram/hdrhistogram-go"
)

// Round is what one run on one target came to. Times of requests are in milliseconds.
type Round struct {
	Asked       float64          `json:"asked,omitempty"` // requests a second that were due; 0 where each followed an answer
	Seconds     float64          `json:"seconds"`         // from the end of the warm-up to the last answer
	Requests    int64            `json:"requests"`        // answered as wanted
	Rate        float64          `json:"rate"`            // of these, a second
	Errors      map[string]int64 `json:"errors,omitempty"`
	FirstError  string           `json:"first_error,omitempty"`
	Unsent      int64            `json:"unsent,omitempty"` // due and never sent; they count in Latency with the time they waited
	Latency     Latency          `json:"latency"`
	LateP99     float64          `json:"late_p99,omitempty"` // how late the load itself sent, where a connection was free
	Percentiles []Percentile     `json:"percentiles"`
	Points      []Point          `json:"points"`
	ServerCPU   float64          `json:"server_cpu,omitempty"` // microseconds a request, where the process was seen
	LoadCPU     float64          `json:"load_cpu"`             // the same of this process
	Memory      int64            `json:"memory,omitempty"`     // resident bytes at the end
	Written     float64          `json:"written,omitempty"`    // bytes written to disk a request
}

// Latency is a summary of one.
type Latency struct {
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	P9999 float64 `json:"p99.99"`
	Max   float64 `json:"max"`
}

// Percentile is one point of the whole distribution.
type Percentile struct {
	Percent float64 `json:"percent"`
	Latency float64 `json:"latency"`
}

// Point is one window of a run.
type Point struct {
	At      float64 `json:"at"`   // its end, in seconds since the warm-up
	Long    float64 `json:"long"` // in seconds
	Rate    float64 `json:"rate"`
	P99     float64 `json:"p99"`
	Errors  int64   `json:"errors,omitempty"`
	CPU     float64 `json:"cpu,omitempty"` // cores of the server
	Memory  int64   `json:"memory,omitempty"`
	Written int64   `json:"written,omitempty"`
}

func milliseconds(nanoseconds int64) float64 { return float64(nanoseconds) / 1e6 }

func latencyOf(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) float64 { return milliseconds(h.ValueAtPercentile(percent)) }
	return Latency{
		Mean: h.Mean() / 1e6, P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99),
		Max: milliseconds(h.Max()),
	}
}

// pointsPerHalf is how many points of the curve there are on the way to the half of what is left to
// 100 %.
const pointsPerHalf = 5

// curve is dense where it matters, which is towards 100 %.
func curve(h *hdrhistogram.Histogram) (c []Percentile) {
	for _, b := range h.CumulativeDistributionWithTicks(pointsPerHalf) {
		c = append(c, Percentile{b.Quantile, milliseconds(b.ValueAt)})
	}
	return c
}

// round sums up.
func (w *watch) round() *Round {
	t := &w.recorder.total
	answered := t.latency.TotalCount() - t.unsent
	seconds := max((t.last - w.load.Warmup).Seconds(), w.load.Duration.Seconds())
	r := &Round{
		Asked:       w.load.Rate,
		Seconds:     seconds,
		Requests:    answered,
		Rate:        float64(answered) / seconds,
		Errors:      t.errors,
		FirstError:  t.first,
		Unsent:      t.unsent,
		Latency:     latencyOf(t.latency),
		Percentiles: curve(t.latency),
		Points:      w.points,
		Memory:      w.last.Memory,
	}
	if t.late.TotalCount() > 0 {
		r.LateP99 = milliseconds(t.late.ValueAtPercentile(99))
	}
	if n := float64(answered + t.failed()); n > 0 {
		r.ServerCPU = float64((w.last.CPU - w.first.CPU).Microseconds()) / n
		r.LoadCPU = float64(w.own.Microseconds()) / n
		r.Written = float64(w.last.Written-w.first.Written) / n
	}
	return r
}
