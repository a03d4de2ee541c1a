package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

const (
	// rounds of targets in turns: so many that one which was disturbed does not make the median.
	rounds = 5
	// leastTime is what a load runs for however small the scale.
	leastTime = 300 * time.Millisecond
	// quietFor is how long a server must have written nothing to have settled, and settleWithin how
	// long that is waited for.
	quietFor     = 5 * time.Second
	settleWithin = 10 * time.Minute
	// endWithin is what a command that was told to end may take: past a server's draining.
	endWithin = time.Minute
)

// lab is what all figures are measured with.
type lab struct {
	*flags
	root    string // of the module
	binary  string
	scratch string
	machine string
	commit  string
}

func newLab(f *flags) (*lab, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	l := &lab{flags: f, root: strings.TrimSpace(string(root))}
	if f.Out == defaultOut {
		l.Out = filepath.Join(l.root, defaultOut)
	}
	if l.scratch, err = os.MkdirTemp(f.Scratch, "switchboard-results-"); err != nil {
		return nil, err
	}
	if l.scratch, err = filepath.Abs(l.scratch); err != nil {
		return nil, err
	}
	if err := os.Chmod(l.scratch, 0o711); err != nil { // PostgreSQL's user must get through
		return nil, err
	}
	l.binary = filepath.Join(l.scratch, "switchboard")
	build := exec.Command("go", "build", "-o", l.binary, "./cmd/switchboard")
	build.Dir = l.root
	if out, err := build.CombinedOutput(); err != nil {
		l.close()
		return nil, fmt.Errorf("build switchboard: %w\n%s", err, out)
	}
	l.machine, l.commit = machine(l.scratch), l.gitCommit()
	return l, os.MkdirAll(filepath.Join(l.Out, "figures"), 0o755)
}

func (l *lab) close() { _ = os.RemoveAll(l.scratch) }

// result is a figure that was measured, as its JSON has it.
type result struct {
	When     time.Time       `json:"when"`
	Took     time.Duration   `json:"took"`
	Machine  string          `json:"machine"`
	Commit   string          `json:"commit"`
	Scale    float64         `json:"scale"`
	Commands []string        `json:"commands"`
	Values   []value         `json:"values"` // of the figure's floors
	Text     string          `json:"text"`   // tables
	Charts   []*bench.Chart  `json:"charts"`
	Reports  []*bench.Report `json:"reports"` // without points, which the charts have
}

// value is a number, or the reason why there is none.
type value struct {
	Number float64 `json:"number"`
	Absent string  `json:"absent,omitempty"`
}

// run is one figure while it is measured.
type run struct {
	*lab
	ctx    context.Context
	result *result
	dir    string // for what it makes on disk; removed after
}

// measure measures a figure and keeps what came of it.
func (l *lab) measure(ctx context.Context, of *figure) error {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), of.name)
	ctx, cancel := context.WithTimeout(ctx, of.within)
	defer cancel()
	began := time.Now()
	r := &run{lab: l, ctx: ctx, dir: filepath.Join(l.scratch, of.name), result: &result{
		When: began.UTC().Truncate(time.Second), Machine: l.machine, Commit: l.commit, Scale: l.Scale,
	}}
	if err := os.Mkdir(r.dir, 0o711); err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	need := int64(float64(of.disk) * l.Scale)
	if free := freeBytes(r.dir); free < need {
		reason := fmt.Sprintf("needs %d GiB of disk, %d are free", need>>30, free>>30)
		r.result.Values = slices.Repeat([]value{{Absent: reason}}, len(of.floors))
	} else if err := of.measure(r); err != nil {
		return err
	}
	if n := len(r.result.Values); n != len(of.floors) {
		return fmt.Errorf("%d values for %d floors", n, len(of.floors))
	}
	r.result.Took = time.Since(began).Round(time.Second)
	for _, report := range r.result.Reports {
		for _, t := range report.Targets {
			for _, round := range t.Rounds {
				round.Points, round.Percentiles = nil, nil
			}
		}
	}
	for _, c := range r.result.Charts {
		c.Thin()
	}
	b, err := json.MarshalIndent(r.result, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(l.file(of.name, "json"), append(b, '\n'), 0o644)
}

func (l *lab) file(figure, kind string) string {
	return filepath.Join(l.Out, "figures", figure+"."+kind)
}

// found notes the value of the next floor.
func (r *run) found(v float64) { r.result.Values = append(r.result.Values, value{Number: v}) }

func (r *run) absent(reason string) {
	r.result.Values = append(r.result.Values, value{Absent: reason})
}

func (r *run) printf(format string, args ...any) { r.result.Text += fmt.Sprintf(format, args...) }

// long is a scaled time, as a flag has it.
func (r *run) long(t time.Duration) string {
	return max(time.Duration(float64(t)*r.Scale), min(t, leastTime)).String()
}

// count is a scaled number.
func (r *run) count(n int) int { return max(1, int(float64(n)*r.Scale)) }

// command runs one, and notes it as a reader would type it.
func (r *run) command(shown, path string, args ...string) (stdout []byte, err error) {
	if !slices.Contains(r.result.Commands, shown) {
		r.result.Commands = append(r.result.Commands, shown)
	}
	fmt.Fprintf(os.Stderr, "  %s\n", shown)
	c := exec.CommandContext(r.ctx, path, args...)
	c.Dir, c.Env = r.root, append(os.Environ(), "TMPDIR="+r.dir)
	c.Cancel, c.WaitDelay = func() error { return c.Process.Signal(syscall.SIGTERM) }, endWithin
	var said bytes.Buffer
	c.Stderr = &said
	if stdout, err = c.Output(); err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", shown, errors.Join(err, context.Cause(r.ctx)), tail(stdout), tail(said.Bytes()))
	}
	return stdout, err
}

// tail is what a command said last, which tells why it failed.
func tail(b []byte) []byte { return b[max(0, len(b)-2_000):] }

// bench runs switchboard bench and reads its report.
func (r *run) bench(args ...string) (*bench.Report, error) {
	return r.benchAs("./switchboard bench "+typed(args), args...)
}

// typed is what a reader would type: ports and seeds that were taken as they came have names.
func typed(args []string) string {
	shown := slices.Clone(args)
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "http://"):
			shown[i] = "http://127.0.0.1:PORT"
		case i > 0 && args[i-1] == "--seed":
			shown[i] = "N"
		case strings.ContainsAny(arg, "|$ "):
			shown[i] = "'" + arg + "'"
		}
	}
	return strings.Join(shown, " ")
}

// benchAs shows the command in a way of its own.
func (r *run) benchAs(shown string, args ...string) (*bench.Report, error) {
	file := filepath.Join(r.dir, "report.json")
	defer os.Remove(file)
	if _, err := r.command(shown, r.binary, append(append([]string{"bench"}, args...), "--scratch", r.dir, "--json", file)...); err != nil {
		return nil, err
	}
	report, err := bench.ReadReport(file)
	if err != nil {
		return nil, err
	}
	for _, t := range report.Targets {
		for _, round := range t.Rounds {
			if len(round.Errors) > 0 {
				return nil, fmt.Errorf("%s: %s: %v, the first was %s", shown, t.Name, round.Errors, round.FirstError)
			}
		}
	}
	return report, nil
}

// tabulate notes a report: its table and what its rounds were.
func (r *run) tabulate(report *bench.Report) error {
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		return err
	}
	r.printf("%s\n", table.String())
	r.result.Reports = append(r.result.Reports, report)
	return nil
}

// inTurns runs commands one after the other, five rounds; each is a target of the report by its name.
func (r *run) inTurns(names []string, commands [][]string) (*bench.Report, error) {
	var report *bench.Report
	for range rounds {
		for i, args := range commands {
			one, err := r.bench(args...)
			if err != nil {
				return nil, err
			}
			if report == nil {
				report = bench.NewReport(one.Workload, one.Load)
			}
			report.Add(names[i], one.Targets[0].Rounds[0])
		}
	}
	return report, nil
}

// tabulateTurns notes a report whose targets had loads of their own, which their names tell.
func (r *run) tabulateTurns(report *bench.Report) error {
	var table strings.Builder
	if err := report.WriteMedians(&table); err != nil {
		return err
	}
	r.printf("%s\n", table.String())
	r.result.Reports = append(r.result.Reports, report)
	return nil
}

// ratio is the median over the rounds of one target's rate beside another's in the same round.
func ratio(report *bench.Report, of, to string) float64 {
	a, b := report.Target(of).Rates(), report.Target(to).Rates()
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return bench.Median(ratios)
}

// serve starts a server on a folder, which is kept from one start to the next.
func (r *run) serve(dir string, args ...string) (*bench.Process, error) {
	shown := strings.Join(append([]string{"./switchboard serve --data", filepath.Base(dir)}, args...), " ")
	if !slices.Contains(r.result.Commands, shown) {
		r.result.Commands = append(r.result.Commands, shown)
	}
	fmt.Fprintf(os.Stderr, "  %s\n", shown)
	args = append([]string{"serve", "--http", "127.0.0.1:0", "--data", dir}, args...)
	return bench.StartProcess("serve", r.binary, args, func() error { return nil })
}

// settle waits until a server writes nothing more by itself.
func (r *run) settle(p *bench.Process) error {
	quiet, end := time.Duration(float64(quietFor)*max(r.Scale, 0.1)), time.Now().Add(settleWithin)
	for written, since := int64(-1), time.Now(); time.Since(since) < quiet; time.Sleep(quiet / 10) {
		u, err := bench.UsageOf(p.PID())
		if err != nil {
			return err
		}
		if u.Written != written {
			written, since = u.Written, time.Now()
		}
		if r.ctx.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("the server still writes after %v", settleWithin)
		}
	}
	return nil
}
