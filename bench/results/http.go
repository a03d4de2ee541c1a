package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

// What a round of a load takes, unless said otherwise.
const (
	warmup   = 3 * time.Second
	duration = 10 * time.Second
)

// times are the flags of a scaled round.
func (r *run) times() []string {
	return []string{"--warmup", r.long(warmup), "--duration", r.long(duration)}
}

// withCeiling runs serve and the ceiling in turns, and gives serve's share.
func (r *run) withCeiling(title string, args ...string) (share float64, err error) {
	args = append(append([]string{"serve", bench.Ceiling}, args...), "--rounds", fmt.Sprint(rounds))
	report, err := r.bench(append(args, r.times()...)...)
	if err != nil {
		return 0, err
	}
	c := report.RateOverTime()
	c.Title = title
	r.result.Charts = append(r.result.Charts, c)
	return bench.Median(report.Shares(report.Target("serve"))), r.tabulate(report)
}

// measureWrk sends the same body each time by wrk, and bodies drawn anew by the bench.
func measureWrk(r *run) error {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		r.absent("absent: wrk is not installed")
		return nil
	}
	w := bench.Workload{Name: "composite", Seed: 1, Creating: 1, Customers: 1, Items: 1, Body: "page"}
	request := w.Generator(0).Next()
	script := filepath.Join(r.dir, "composite.lua")
	lua := fmt.Sprintf("wrk.method = %q\nwrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.body = [[%s]]\n", request.Method, request.Body)
	if err := os.WriteFile(script, []byte(lua), 0o644); err != nil {
		return err
	}
	p, err := bench.StartProcess(bench.Ceiling, r.binary, []string{bench.CeilingCommand}, func() error { return nil })
	if err != nil {
		return err
	}
	defer p.Close()
	var ratios []float64
	for range rounds {
		report, err := r.bench(append([]string{url(p)}, r.times()...)...)
		if err != nil {
			return err
		}
		seconds := fmt.Sprintf("-d%ds", max(1, r.count(int(duration.Seconds())))) // wrk takes whole ones
		shown := "wrk -t2 -c64 " + seconds + " -s composite.lua http://127.0.0.1:PORT" + request.Path
		out, err := r.command(shown, wrk, "-t2", "-c64", seconds, "-s", script, url(p)+request.Path)
		if err != nil {
			return err
		}
		said := requestsPerSecond.FindSubmatch(out)
		if said == nil {
			return fmt.Errorf("wrk told no rate: %s", out)
		}
		theirs, _ := strconv.ParseFloat(string(said[1]), 64) // digits and a point
		ours := report.Targets[0].Median(rate)
		r.printf("bench %6.0f/s, wrk %6.0f/s\n", ours, theirs)
		ratios = append(ratios, ours/theirs)
	}
	r.found(bench.Median(ratios))
	return nil
}

var requestsPerSecond = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)

func measureCreating(r *run) error {
	for _, connections := range []string{"64", "256"} {
		share, err := r.withCeiling("Rate, "+connections+" connections", "--connections", connections)
		if err != nil {
			return err
		}
		r.found(share)
	}
	return nil
}

func measureFinding(r *run) error {
	share, err := r.withCeiling("Rate", "--creating", "0.1", "--customers", fmt.Sprint(r.count(20_000)))
	r.found(share)
	return err
}

// turns measures two loads in turns; the first's ratio to the second is what counts.
func (r *run) turns(names []string, commands [][]string) (float64, error) {
	for i := range commands {
		commands[i] = append(commands[i], r.times()...)
	}
	report, err := r.inTurns(names, commands)
	if err != nil {
		return 0, err
	}
	r.result.Charts = append(r.result.Charts, report.RateOverTime())
	return ratio(report, names[0], names[1]), r.tabulateTurns(report)
}

func measureItems(r *run) error {
	const items = 64
	requests, err := r.turns([]string{"serve, 64 items", "ceiling, one item"},
		[][]string{{"serve", "--items", fmt.Sprint(items)}, {bench.Ceiling}})
	r.found(items * requests)
	return err
}

func measureHot(r *run) error {
	share, err := r.turns([]string{"one hot customer", "many customers"},
		[][]string{{"serve", "--workload", "hot"}, {"serve", "--workload", "found", "--customers", fmt.Sprint(r.count(20_000))}})
	r.found(share)
	return err
}

func measurePace(r *run) error {
	const syncs, connections = 2_000, "256"
	before, err := syncTime(r.dir, r.count(syncs))
	if err != nil {
		return err
	}
	free, err := r.bench(append([]string{"serve", "--connections", connections}, r.times()...)...)
	if err != nil {
		return err
	}
	half := fmt.Sprintf("%.0f", free.Target("serve").Median(rate)/2)
	report, err := r.bench(append([]string{"serve", "--connections", connections, "--rate", half, "--rounds", fmt.Sprint(rounds)}, r.times()...)...)
	if err != nil {
		return err
	}
	after, err := syncTime(r.dir, r.count(syncs))
	if err != nil {
		return err
	}
	r.printf("one fdatasync of 4 KB: %v before, %v after\n\n", before.Round(time.Microsecond), after.Round(time.Microsecond))
	sync := float64(before+after) / 2 / float64(time.Millisecond)
	t := report.Target("serve")
	r.found(t.Median(func(round *bench.Round) float64 { return round.Latency.P50 }) - sync)
	r.found(t.Median(func(round *bench.Round) float64 { return round.Latency.P99 }))
	r.found(t.Median(func(round *bench.Round) float64 { return round.Latency.P999 }))
	r.result.Charts = append(r.result.Charts, report.Percentiles())
	return r.tabulate(report)
}

func rate(round *bench.Round) float64 { return round.Rate }
