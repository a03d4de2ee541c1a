package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

// The rivals in the order of the figure's floors, and what up.sh says of one that it started.
var rivals = []struct{ name, says string }{
	{"redis-always", "RIVAL_REDIS_ALWAYS"},
	{"postgres-on", "RIVAL_POSTGRES"},
	{"nethttp", ""}, // it is in switchboard itself
}

var sweep = []int{16, 64, 128, 256, 512}

const (
	sweepWarmup   = time.Second
	sweepDuration = 3 * time.Second
)

func measureRivals(r *run) error {
	there, stop, err := r.startRivals()
	if err != nil {
		return err
	}
	defer stop()
	names := []string{"serve"}
	for _, rival := range rivals {
		if rival.says == "" || there[rival.says] {
			names = append(names, rival.name)
		}
	}
	best, err := r.sweep(names)
	if err != nil {
		return err
	}
	shown := map[string]string{}
	var labels []string
	var commands [][]string
	for _, name := range names {
		shown[name] = fmt.Sprintf("%s, %d connections", name, best[name])
		labels = append(labels, shown[name])
		commands = append(commands, append([]string{name, "--connections", fmt.Sprint(best[name])}, r.times()...))
	}
	report, err := r.inTurns(labels, commands)
	if err != nil {
		return err
	}
	for _, rival := range rivals {
		if shown[rival.name] == "" {
			r.absent("absent: it is not installed")
			continue
		}
		r.found(ratio(report, shown["serve"], shown[rival.name]))
	}
	return r.tabulateTurns(report)
}

// sweep finds each one's best number of connections.
func (r *run) sweep(names []string) (best map[string]int, err error) {
	best = map[string]int{}
	c := &bench.Chart{Title: "Rate by connections", X: "connections", Y: "requests a second"}
	for _, name := range names {
		line, highest := bench.Line{Name: name}, 0.0
		for _, connections := range sweep {
			times := []string{"--warmup", r.long(sweepWarmup), "--duration", r.long(sweepDuration)}
			shown := fmt.Sprintf("for C in %s; do ./switchboard bench %s --connections $C %s; done", strings.Trim(fmt.Sprint(sweep), "[]"), name, typed(times))
			report, err := r.benchAs(shown, append([]string{name, "--connections", fmt.Sprint(connections)}, times...)...)
			if err != nil {
				return nil, err
			}
			found := report.Targets[0].Median(rate)
			line.Points = append(line.Points, [2]float64{float64(connections), found})
			if found > highest {
				highest, best[name] = found, connections
			}
		}
		c.Lines = append(c.Lines, line)
	}
	r.result.Charts = append(r.result.Charts, c)
	return best, nil
}

// startRivals has up.sh start the servers, and gives the bench what it says in the environment.
func (r *run) startRivals() (there map[string]bool, stop func(), err error) {
	const script = "bench/rivals/up.sh"
	home := filepath.Join(r.dir, "servers")
	out, err := r.command(`eval "$(`+script+` up DIR)"`, filepath.Join(r.root, script), "up", home)
	stop = func() {
		down := exec.Command(filepath.Join(r.root, script), "down", home)
		if out, err := down.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "results: %s down: %v\n%s", script, err, out)
		}
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	there = map[string]bool{}
	for word := range strings.FieldsSeq(string(out)) {
		if name, value, ok := strings.Cut(word, "="); ok {
			there[name] = true
			_ = os.Setenv(name, strings.Trim(value, "'")) // a name of up.sh, which is one
		}
	}
	return there, stop, nil
}
