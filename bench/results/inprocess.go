package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

// goBench runs Go benchmarks of the engine, and gives each one's metrics: medians over the runs.
func (r *run) goBench(pattern string, args ...string) (metrics map[string]float64, err error) {
	args = append([]string{"test", "./engine", "-run", "-", "-bench", pattern}, args...)
	out, err := r.command("go "+typed(args), "go", args...)
	if err != nil {
		return nil, err
	}
	r.printf("%s\n", out)
	all := map[string][]float64{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(f[0], "Benchmark"), "-") // without the cores
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				all[name+" "+f[i+1]] = append(all[name+" "+f[i+1]], v)
			}
		}
	}
	metrics = map[string]float64{}
	for name, values := range all {
		metrics[name] = bench.Median(values)
	}
	return metrics, nil
}

// report notes the metrics that the floors are about.
func (r *run) report(metrics map[string]float64, names ...string) error {
	for _, name := range names {
		v, ok := metrics[name]
		if !ok {
			return fmt.Errorf("no benchmark told %s, only %v", name, metrics)
		}
		r.found(v)
	}
	return nil
}

func measureInProcess(r *run) error {
	metrics, err := r.goBench("BenchmarkSmall", "-benchtime", r.long(5*time.Second), "-count", "3")
	if err != nil {
		return err
	}
	return r.report(metrics, "Small/found starts/s", "Small/new starts/s", "Small/hot starts/s")
}

func measureMemory(r *run) error {
	metrics, err := r.goBench("AwakeCustomer|Collector", "-benchtime", "1x", "-args", "-awake", fmt.Sprint(r.count(1_000_000)))
	if err != nil {
		return err
	}
	return r.report(metrics, "AwakeCustomer B/customer", "AwakeCustomer objects/customer", "Collector %GC")
}
