package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/switchboard-cs/switchboard/bench"
)

// The bench starts a server and the ceiling, puts load on both, leaves neither process nor folder
// behind, and compares what it wrote.
func TestBenchCommand(t *testing.T) {
	dir := t.TempDir()
	scratch, report, page := filepath.Join(dir, "scratch"), filepath.Join(dir, "a.json"), filepath.Join(dir, "a.html")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := command("bench", "serve", "ceiling", "--connections", "4", "--duration", "50ms", "--warmup", "10ms", "--rounds", "3",
		"--memory", "64MiB", "--serve-flags=--deadline 4s", "--scratch", scratch, "--json", report, "--html", page).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !regexp.MustCompile(`(?m)^ +serve +\d+ +0\.\d\d .* 0$`).Match(out) {
		t.Errorf("it printed\n%s", out)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	if text, err := os.ReadFile(page); err != nil || strings.Count(string(text), "<svg") < 3 {
		t.Errorf("the page has no plots (%v)", err)
	}
	if out, err = command("bench", "compare", report, report).CombinedOutput(); err != nil || strings.Count(string(out), "noise") < 5 {
		t.Errorf("a report compared with itself: %v\n%s", err, out)
	}
}

// A search ends with rounds at the rate that it found for each target, in a report like any other.
func TestBenchSearch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	out, err := command("bench", "serve", "ceiling", "--connections", "2", "--duration", "200ms", "--warmup", "50ms", "--rounds", "3",
		"--search", "max=1m", "--json", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	report, err := bench.ReadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range report.Targets {
		for _, round := range target.Rounds {
			if len(target.Rounds) != 3 || round.Asked == 0 || round.Asked != target.Rounds[0].Asked {
				t.Errorf("%s: %d rounds, one of which was asked for %v/s", target.Name, len(target.Rounds), round.Asked)
			}
		}
	}
	if a, b := report.Targets[0].Rounds[0].Asked, report.Targets[1].Rounds[0].Asked; a == b {
		t.Errorf("both targets were asked for %v/s", a)
	}
	if !strings.Contains(report.Title(), "the highest rate that keeps max=1m") {
		t.Errorf("the report is titled %s", report.Title())
	}
}

// The engine's flags reach a server that is started as they were said, zeros included.
func TestEngineFlagsArePassedOn(t *testing.T) {
	parse := func(args []string) (f struct{ engineFlags }) {
		if _, err := kong.Must(&f).Parse(args); err != nil {
			t.Fatal(err)
		}
		return f
	}
	said := parse([]string{"--reserve=0B", "--memory=1GiB", "--expire-after=90m", "--strict", "--max-key=300B"})
	again := parse(said.args())
	if again != said || said.Reserve != 0 || said.Tail == 0 {
		t.Errorf("said %+v, passed on as %q, which are %+v", said, said.args(), again)
	}
}

// A flag that makes no sense is named.
func TestBenchFlags(t *testing.T) {
	for want, args := range map[string]string{
		"--workload must be":    "bench --workload nothing",
		"--body must be":        "bench --body large",
		"--creating must be":    "bench --creating 2",
		"--connections must be": "bench --connections 0",
		"--duration must be":    "bench --duration 1ms",
		"--rounds must be":      "bench --rounds 0",
		"--memory must be":      "bench --memory 1MiB",
		"--search must be":      "bench --search p98=1ms",
		"--regression must be":  "bench compare a b --regression much",
		"target must be":        "bench nobody",
	} {
		out, err := command(strings.Fields(args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, want %q in\n%s", args, err, want, out)
		}
	}
}
