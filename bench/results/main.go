// Command results measures the figures that are promised and writes bench/RESULTS.md:
//
//	go run ./bench/results
//
// figures.go is the table of them, with the floor of each; http.go, rivals.go, inprocess.go and
// storage.go are how they are measured, run.go what they measure with, and page.go makes the page. Each
// figure is kept as JSON in bench/figures, so that --only measures some anew and the page has all.
//
// Loads are put on by the command switchboard bench itself, built here, so that the commands on the
// page are those that ran, and each server and each load is a process of its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

type flags struct {
	Only    string  `placeholder:"REGEX" help:"Measure the figures whose names match: ${figures}. The page is written of all that were ever measured (all)."`
	Scale   float64 `placeholder:"SHARE" default:"1" help:"Shrink numbers of customers, writes and bytes, and times, for a try of the whole: above 0, at most 1; needs --out (${default})."`
	Out     string  `placeholder:"DIR" default:"bench" help:"Where RESULTS.md and figures/ go (${default})."`
	Scratch string  `placeholder:"DIR" help:"Where servers keep their data while they are measured, removed after: the disk that is measured (the system's place for temporary files)."`
}

const defaultOut = "bench"

// Validate refuses flags that make no sense, with the flag's name.
func (f *flags) Validate() error {
	if _, err := regexp.Compile(f.Only); err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	if f.Scale <= 0 || f.Scale > 1 {
		return fmt.Errorf("--scale must be above 0 and at most 1, not %v", f.Scale)
	}
	if f.Scale < 1 && filepath.Clean(f.Out) == defaultOut {
		return fmt.Errorf("--scale %v needs an --out of its own: what comes of a try is no result", f.Scale)
	}
	return nil
}

func main() {
	var f flags
	var names []string
	for _, of := range figures {
		names = append(names, of.name)
	}
	kong.Parse(&f, kong.Name("results"), kong.Vars{"figures": strings.Join(names, ", ")},
		kong.Description("Measure the figures that are promised, and write them to bench/RESULTS.md."))
	if err := f.measure(); err != nil {
		fmt.Fprintln(os.Stderr, "results:", err)
		os.Exit(1)
	}
}

// measure goes on after a figure that cannot be measured, and fails at the end.
func (f *flags) measure() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	l, err := newLab(f)
	if err != nil {
		return err
	}
	defer l.close()
	only, failed := regexp.MustCompile(f.Only), 0
	for i := range figures {
		of := &figures[i]
		if !only.MatchString(of.name) || ctx.Err() != nil {
			continue
		}
		if err := l.measure(ctx, of); err != nil {
			fmt.Fprintf(os.Stderr, "results: %s: %v\n", of.name, err)
			failed++
		}
	}
	if err := l.writePage(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d figures were not measured", failed)
	}
	return ctx.Err()
}
