package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/switchboard-cs/switchboard/bench"
)

// benchCompare is the command and its flags.
type benchCompare struct {
	Before     string `arg:"" placeholder:"FILE" help:"Report of bench --json with 3 rounds or more."`
	After      string `arg:"" placeholder:"FILE" help:"Another one, of the same load."`
	Regression string `placeholder:"SHARE" default:"5%" help:"How much worse a figure may be, where it is no noise; past it the command fails (${default})."`
}

// Validate refuses flags that make no sense, with the flag's name.
func (c *benchCompare) Validate() error {
	_, err := c.bound()
	return err
}

func (c *benchCompare) bound() (float64, error) {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(c.Regression, "%"), 64)
	if err != nil || percent < 0 || percent > 100 {
		return 0, fmt.Errorf("--regression must be from 0%% to 100%%, not %s", c.Regression)
	}
	return percent / 100, nil
}

// Run compares, and fails on a regression.
func (c *benchCompare) Run() error {
	before, err := bench.ReadReport(c.Before)
	if err != nil {
		return err
	}
	after, err := bench.ReadReport(c.After)
	if err != nil {
		return err
	}
	differences, err := bench.Compare(before, after)
	if err != nil {
		return fmt.Errorf("compare %s and %s: %w", c.Before, c.After, err)
	}
	bound, err := c.bound()
	if err != nil {
		return err
	}
	regressions, err := bench.WriteDifferences(os.Stdout, differences, bound)
	if err == nil && regressions > 0 {
		err = fmt.Errorf("%d figures are worse by more than %s", regressions, c.Regression)
	}
	return err
}
