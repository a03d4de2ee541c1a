package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/switchboard-cs/switchboard/bench"
)

// bodies are what the bench sends, by a sample.
type bodies struct {
	sent, compact float64 // bytes of one, as it is sent and without white space
	alone, many   float64 // how much s2 takes off one, and off thirteen together: plain over packed
}

func sampleBodies() (b bodies, err error) {
	const samples, together = 1_300, 13
	w := bench.Workload{Name: "composite", Seed: 1, Creating: 1, Customers: 1, Items: 1, Body: bench.Bodies[0][0]}
	if err := w.Check(); err != nil {
		return b, err
	}
	g := w.Generator(0)
	var sent, compact, alone, many int
	var frame bytes.Buffer
	for i := range samples {
		body := g.Next().Body
		begins := frame.Len()
		if err := json.Compact(&frame, body); err != nil {
			return b, err
		}
		sent += len(body)
		compact += frame.Len() - begins
		alone += len(s2.Encode(nil, frame.Bytes()[begins:]))
		if (i+1)%together == 0 {
			many += len(s2.Encode(nil, frame.Bytes()))
			frame.Reset()
		}
	}
	return bodies{float64(sent) / samples, float64(compact) / samples, float64(compact) / float64(alone), float64(compact) / float64(many)}, nil
}

func url(p *bench.Process) string { return "http://" + p.Address() }

// chunk is how long one of several loads in a row runs.
const chunk = time.Minute

// createUntil creates customers in loads in a row, each with a seed of its own, until enough.
func (r *run) createUntil(p *bench.Process, enough func(created int64) bool) (loads []*bench.Report, created int64, err error) {
	for seed := 1; !enough(created); seed++ {
		report, err := r.bench(url(p), "--warmup", "0s", "--duration", r.long(chunk), "--seed", fmt.Sprint(seed))
		if err != nil {
			return nil, 0, err
		}
		loads = append(loads, report)
		created += report.Targets[0].Rounds[0].Requests
	}
	return loads, created, nil
}

func measureDisk(r *run) error {
	const total = 2 * gib
	body, err := sampleBodies()
	if err != nil {
		return err
	}
	p, err := r.serve(filepath.Join(r.dir, "data"))
	if err != nil {
		return err
	}
	_, created, err := r.createUntil(p, func(created int64) bool { return float64(created)*body.sent >= float64(r.count(total)) })
	if err == nil {
		err = r.settle(p)
	}
	if err := errors.Join(err, p.Close()); err != nil {
		return err
	}
	each := float64(p.Written()) / float64(created)
	r.printf("%d composite starts, %.2f GB of bodies\n%.0f B of a body as it is sent, %.0f B without white space\n", created, float64(created)*body.sent/1e9, body.sent, body.compact)
	r.printf("%.0f B written for each: %.2f of the body as it is sent, %.2f without white space\n", each, each/body.sent, each/body.compact)
	r.printf("s2 makes of the bodies without white space: %.1f : 1 of one alone, %.1f : 1 of 13 together\n", body.alone, body.many)
	r.found(each / body.sent)
	return nil
}

func measureTenMillion(r *run) (err error) {
	const memory, turns = "--memory=4GiB", 3
	names, customers := []string{"few", "many"}, []int{r.count(100_000), r.count(10_000_000)}
	servers := make([]*bench.Process, len(names))
	defer func() {
		for _, p := range servers {
			if p != nil {
				err = errors.Join(err, p.Close())
			}
		}
	}()
	finding, creating := &bench.Report{}, &bench.Report{}
	load := func(i int, seed int, args ...string) (*bench.Round, error) {
		args = append([]string{url(servers[i]), "--seed", fmt.Sprint(seed)}, args...)
		report, err := r.bench(append(args, r.times()...)...)
		if err != nil {
			return nil, err
		}
		finding.Load, creating.Load = report.Load, report.Load
		return report.Targets[0].Rounds[0], nil
	}
	found := func(i int) []string { return []string{"--workload", "found", "--customers", fmt.Sprint(customers[i])} }
	for i, name := range names {
		if servers[i], err = r.serve(filepath.Join(r.dir, name), memory); err != nil {
			return err
		}
		if _, err := load(i, 1, found(i)...); err != nil { // which creates them first
			return err
		}
		if err := r.settle(servers[i]); err != nil {
			return err
		}
	}
	for turn := range turns {
		for i := range names {
			label := fmt.Sprintf("%d customers", customers[i])
			round, err := load(i, 1, append(found(i), "--prepared")...)
			if err != nil {
				return err
			}
			finding.Add(label, round)
			if round, err = load(i, 2+turn); err != nil {
				return err
			}
			creating.Add(label, round)
		}
	}
	few, many := finding.Targets[0].Name, finding.Targets[1].Name
	highest := highWater(servers[1].PID())
	ready, err := r.restart(&servers[1], filepath.Join(r.dir, names[1]), memory)
	if err != nil {
		return err
	}
	highest = max(highest, highWater(servers[1].PID()))
	r.found(float64(highest) / gib)
	r.found(ratio(finding, many, few))
	r.found(ratio(creating, many, few))
	r.found(ready.Seconds())
	r.printf("found, drawn from all alike\n")
	if err := r.tabulateTurns(finding); err != nil {
		return err
	}
	r.printf("creating\n")
	return r.tabulateTurns(creating)
}

// restart kills the server in the middle of a load that creates, and starts it again.
func (r *run) restart(p **bench.Process, dir string, args ...string) (ready time.Duration, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// Its requests are refused from the kill on: what comes of it does not count.
		_, _ = r.bench(url(*p), "--seed", "100", "--warmup", "0s", "--duration", r.long(duration))
	}()
	half, err := time.ParseDuration(r.long(duration / 2))
	if err != nil {
		return 0, err
	}
	time.Sleep(half)
	if err := (*p).Kill(); err != nil {
		return 0, err
	}
	<-ended
	*p = nil // it has ended; nobody closes it
	began := time.Now()
	again, err := r.serve(dir, args...)
	if err != nil {
		return 0, err
	}
	*p = again
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url(again)+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("after the restart: %s", answer.Status)
	}
	return time.Since(began), nil
}

// highWater is the most resident memory that a process ever had, in bytes.
func highWater(pid int) (bytes int64) {
	_, _ = fmt.Sscan(field(fmt.Sprintf("/proc/%d/status", pid), "VmHWM"), &bytes) // in KiB
	return bytes << 10
}

func measureEndurance(r *run) error {
	const writes = 20_000_000
	p, err := r.serve(filepath.Join(r.dir, "data"))
	if err != nil {
		return err
	}
	over := int64(-1) // one more load follows when there are enough
	loads, created, err := r.createUntil(p, func(created int64) bool {
		enough := over >= 0
		if created >= int64(r.count(writes)) {
			over = created
		}
		return enough
	})
	if err := errors.Join(err, p.Close()); err != nil {
		return err
	}
	line, begins := bench.Line{Name: "serve"}, 0.0
	for i, report := range loads {
		round := report.Targets[0].Rounds[0]
		r.printf("load %2d: %7.0f/s, p99 %.1f ms\n", i+1, round.Rate, round.Latency.P99)
		for _, point := range round.Points {
			line.Points = append(line.Points, [2]float64{(begins + point.At) / 60, point.Rate})
		}
		begins += round.Seconds
	}
	first, last := loads[0].Targets[0].Rounds[0].Rate, loads[len(loads)-1].Targets[0].Rounds[0].Rate
	r.printf("%d composite starts, %.1f GiB written to disk\n", created, float64(p.Written())/gib)
	r.result.Charts = append(r.result.Charts, &bench.Chart{Title: "Rate", X: "minutes", Y: "requests a second", Lines: []bench.Line{line}})
	r.found(last / first)
	return nil
}
