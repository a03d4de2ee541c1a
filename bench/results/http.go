package main

import (
	"fmt"
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
