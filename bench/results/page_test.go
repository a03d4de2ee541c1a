package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

// The page has a line for each floor, whether it was met, missed, could not be measured or never was,
// and the plots beside it; a figure measured for other floors is to be measured again.
func TestPage(t *testing.T) {
	l := &lab{flags: &flags{Out: t.TempDir()}}
	if err := os.Mkdir(filepath.Join(l.Out, "figures"), 0o755); err != nil {
		t.Fatal(err)
	}
	keep := func(name string, values ...value) {
		t.Helper()
		b, err := json.Marshal(result{
			When: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Machine: "a machine", Commit: "abc", Scale: 1,
			Commands: []string{"./switchboard bench " + name}, Values: values, Text: "a table\n",
			Charts: []*bench.Chart{{Title: "Rate", Lines: []bench.Line{{Name: "serve", Points: [][2]float64{{0, 1}, {1, 2}}}}}},
		})
		if err == nil {
			err = os.WriteFile(l.file(name, "json"), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	keep("creating", value{Number: 0.41}, value{Number: 0.1})
	keep("rivals", value{Number: 2}, value{Absent: "absent: it is not installed"}, value{Number: 4})
	keep("inprocess", value{Number: 1_234_567}, value{Number: 130_000}, value{Number: 1})
	if err := l.writePage(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(l.Out, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"of the ceiling, 64 connections | 0.41 | ≥ 0.36 | met |",
		"of the ceiling, 256 connections | 0.1 | ≥ 0.42 | **not met** |",
		"synchronous_commit on | absent: it is not installed | ≥ 4 | - |",
		"found | 1,234,567/s | ≥ 800,000/s | met |",
		"ready after SIGKILL | not measured | ≤ 2 s | |",
		"on 2026-03-04 at commit abc", "a table", "./switchboard bench creating\n", "(figures/creating.svg)",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if _, err := os.Stat(l.file("creating", "svg")); err != nil || strings.Contains(string(page), "mean nothing") {
		t.Errorf("no plot (%v), or the page is called a try", err)
	}
	keep("creating", value{Number: 0.41})
	if err := l.writePage(); err == nil || !strings.Contains(err.Error(), "measure it again") {
		t.Errorf("with a value for two floors: %v", err)
	}
}

// A try is never written where results are.
func TestTriesAreKeptApart(t *testing.T) {
	for _, f := range []flags{{Scale: 0.5, Out: "bench"}, {Scale: 0.5, Out: "./bench/"}, {Scale: 0, Out: "x"}, {Scale: 2, Out: "x"}, {Scale: 1, Only: "("}} {
		if f.Validate() == nil {
			t.Errorf("%+v passes", f)
		}
	}
	if err := (&flags{Scale: 0.5, Out: "elsewhere"}).Validate(); err != nil {
		t.Error(err)
	}
}
