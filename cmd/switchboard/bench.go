package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

// benchCommand is what may be said behind bench.
type benchCommand struct {
	Run     benchRun     `cmd:"" default:"withargs" help:"Put a load on one target or, in turns, on several."`
	Compare benchCompare `cmd:"" help:"Tell noise from change between two reports."`
}

// benchRun is the command and its flags.
type benchRun struct {
	Targets []string `arg:"" optional:"" name:"target" help:"What the load is put on, in turns: ${targets}, or a server's http://HOST:PORT (serve and ceiling)."`

	Workload  string  `placeholder:"NAME" default:"composite" help:"What is asked for: ${workloads} (${default})." group:"Workload"`
	Creating  float64 `placeholder:"SHARE" default:"1" help:"Share of the composite items that create, 0 to 1 (${default})." group:"Workload"`
	Customers int     `placeholder:"N" default:"20000" help:"Customers that are found or read, created before the run (${default})." group:"Workload"`
	Prepared  bool    `help:"They are there already, from a run with the same --seed and at least as many." group:"Workload"`
	Skew      float64 `placeholder:"S" default:"0" help:"Draw them by Zipf's law with this exponent, above 1 (0: all alike)." group:"Workload"`
	Items     int     `placeholder:"N" default:"1" help:"Items of one composite start (${default})." group:"Workload"`
	Body      string  `placeholder:"NAME" default:"page" help:"What an item says: page, the contract's example with notes, offers and numbers drawn anew, or small, customer and types and nothing else (${default})." group:"Workload"`
	Seed      uint64  `placeholder:"N" default:"0" help:"Decides customers and bodies; runs on one server need different ones, or they find each other's (0: a random one, which is printed)." group:"Workload"`

	Connections int           `placeholder:"N" default:"64" help:"Connections, each with one request at a time (${default})." group:"Load"`
	Rate        float64       `placeholder:"N" default:"0" help:"Requests a second at even distances, with latencies from when each was due (0: a connection sends when it was answered)." group:"Load"`
	Warmup      time.Duration `placeholder:"TIME" default:"1s" help:"Time before anything counts (${default})." group:"Load"`
	Duration    time.Duration `placeholder:"TIME" default:"5s" help:"Time that counts, of one target in one round (${default})." group:"Load"`
	Rounds      int           `placeholder:"N" default:"1" help:"Times that the targets take turns; with 3 or more, medians mean something (${default})." group:"Load"`

	Search string `placeholder:"BOUND" help:"Look for the highest rate that keeps a latency, such as p99=3ms (also p50, p90, p99.9, p99.99, max); the rounds are then at the rate found, and --rate does not count." group:"Load"`

	ServeFlags string `placeholder:"FLAGS" help:"Other flags of the server that the target serve starts, such as --serve-flags='--max-body 4MiB --deadline 1s'." group:"Targets"`
	Scratch    string `placeholder:"DIR" help:"Where targets make their folders, which are removed after (the system's place for temporary files)." group:"Targets"`

	engineFlags `embed:""`

	JSON string `name:"json" placeholder:"FILE" help:"Write all that was found out, for switchboard bench compare." group:"Reports"`
	HTML string `name:"html" placeholder:"FILE" help:"Write a page with plots over time and by percentile, which needs no other file." group:"Reports"`
}

// maxRounds bounds a run that nobody waits for.
const maxRounds = 1_000

// Validate refuses flags that make no sense, with the flag's name.
func (b *benchRun) Validate() error {
	if err := b.workload().Check(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if err := b.load().Check(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if b.Rounds < 1 || b.Rounds > maxRounds {
		return fmt.Errorf("--rounds must be from 1 to %d, not %d", maxRounds, b.Rounds)
	}
	if err := b.engineFlags.Validate(); err != nil {
		return err
	}
	if b.Search != "" {
		if _, err := bench.ParseBound(b.Search); err != nil {
			return fmt.Errorf("--search %w", err)
		}
	}
	return nil
}

func (b *benchRun) workload() bench.Workload {
	return bench.Workload{Name: b.Workload, Seed: b.Seed, Creating: b.Creating, Customers: b.Customers, Skew: b.Skew, Items: b.Items, Body: b.Body, Prepared: b.Prepared}
}

func (b *benchRun) load() bench.Load {
	return bench.Load{Connections: b.Connections, Rate: b.Rate, Warmup: b.Warmup, Duration: b.Duration}
}

// Run measures, writes the table on stdout and the progress on stderr.
func (b *benchRun) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(b.Targets) == 0 {
		b.Targets = []string{"serve", bench.Ceiling}
	}
	for b.Seed == 0 {
		b.Seed = uint64(rand.Uint32())
	}
	if os.Getenv("GOMAXPROCS") == "" && (b.Rate > 0 || b.Search != "" || slices.Contains(b.Targets, "engine")) {
		// As serve does, for an engine in here; and who waits for what is due keeps its place.
		runtime.GOMAXPROCS(2 * runtime.NumCPU())
	}
	subjects, err := b.open(ctx)
	defer func() {
		for _, s := range subjects {
			if err := s.Target.Close(); err != nil {
				fmt.Fprintf(os.Stderr, "switchboard: close %s: %v\n", s.Target.Name(), err)
			}
		}
	}()
	if err != nil {
		return err
	}
	report := bench.NewReport(b.workload(), b.load())
	loads := slices.Repeat([]bench.Load{b.load()}, len(subjects))
	if b.Search != "" {
		if err := b.search(ctx, subjects, loads); err != nil {
			return err
		}
		report.Load.Rate, report.Search = 0, b.Search
	}
	for range b.Rounds {
		for i, s := range subjects {
			round, err := s.Run(ctx, loads[i])
			if err != nil {
				return err
			}
			report.Add(s.Target.Name(), round)
		}
	}
	if err := report.WriteTable(os.Stdout); err != nil {
		return err
	}
	if b.JSON != "" {
		if err := report.WriteFile(b.JSON); err != nil {
			return err
		}
	}
	if b.HTML != "" {
		return report.WriteHTML(b.HTML)
	}
	return nil
}

// search says for each target the highest rate that keeps the bound, and sets it in its load.
func (b *benchRun) search(ctx context.Context, subjects []*bench.Subject, loads []bench.Load) error {
	bound, err := bench.ParseBound(b.Search)
	if err != nil {
		return err
	}
	for i, s := range subjects {
		rate, err := s.Search(ctx, loads[i], bound, os.Stderr)
		if err != nil {
			return err
		}
		loads[i].Rate = rate
		fmt.Printf("%s keeps %s=%v up to %.0f requests a second\n", s.Target.Name(), bound.Name, bound.Limit, rate)
	}
	fmt.Println()
	return nil
}

// open makes the targets.
func (b *benchRun) open(ctx context.Context) (subjects []*bench.Subject, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	setup := bench.Setup{Command: []string{self}, Scratch: b.Scratch, ServeArgs: append(b.args(), strings.Fields(b.ServeFlags)...), Engine: b.engine()}
	for _, name := range b.Targets {
		t, err := bench.Open(ctx, name, setup)
		if err != nil {
			return subjects, err
		}
		subjects = append(subjects, bench.NewSubject(t, b.workload(), progress()))
	}
	return subjects, nil
}

// progress is stderr where somebody looks at it.
func progress() io.Writer {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return os.Stderr
}

// ceiling is the server that the bench compares with.
type ceiling struct{}

// Run serves until stdin ends.
func (ceiling) Run() error { return bench.ServeCeiling(os.Stdin) }

// names lists what may be asked for, for the help.
func names(about [][2]string) string {
	var n []string
	for _, a := range about {
		n = append(n, a[0])
	}
	return strings.Join(n, ", ")
}
