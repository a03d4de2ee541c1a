package main

import "time"

// figure is a section of the page: what is promised, and how it is measured.
type figure struct {
	name    string // of its files, and for --only
	title   string
	how     string // what the commands do not tell
	floors  []floor
	within  time.Duration // it is given up after that
	disk    int64         // free bytes that it needs
	measure func(*run) error
}

// floor is what a number must keep.
type floor struct {
	of    string // what is measured
	unit  string
	most  bool // the bound is one from above
	bound float64
}

func atLeast(bound float64, of, unit string) floor { return floor{of, unit, false, bound} }
func atMost(bound float64, of, unit string) floor  { return floor{of, unit, true, bound} }

const gib = 1 << 30

// figures are all that is promised, in the order of the page.
var figures = []figure{
	{
		name: "wrk", title: "The load itself beside wrk",
		how:    "Both ask the same ceiling, in turns: what the bench finds is the server's, not the load's.",
		floors: []floor{atLeast(0.95, "of what wrk gets from the ceiling", "")},
		within: 10 * time.Minute, measure: measureWrk,
	},
	{
		name: "creating", title: "HTTP, all creating",
		how:    "The share of the ceiling in the same round, over five rounds that alternate: the ceiling is a fasthttp server that reads the body and answers 200 bytes.",
		floors: []floor{atLeast(0.36, "of the ceiling, 64 connections", ""), atLeast(0.42, "of the ceiling, 256 connections", "")},
		within: 20 * time.Minute, measure: measureCreating,
	},
	{
		name: "finding", title: "HTTP, nine in ten finding",
		floors: []floor{atLeast(0.62, "of the ceiling, 64 connections", "")},
		within: 10 * time.Minute, measure: measureFinding,
	},
	{
		name: "rivals", title: "Beside Redis, PostgreSQL and net/http",
		how: "All creating, each answer synced to disk. Short runs find each one's best number of connections; the ratios are of five rounds in turns, each at its best. " +
			"Redis and PostgreSQL are asked by their own protocols, and have no HTTP and no JSON to read; nethttp is a straightforward service with guarded maps and Pebble.",
		floors: []floor{atLeast(1.5, "times Redis, appendfsync always", ""), atLeast(4, "times PostgreSQL, synchronous_commit on", ""), atLeast(4, "times nethttp", "")},
		within: 30 * time.Minute, measure: measureRivals,
	},
	{
		name: "items", title: "HTTP, 64 items a request",
		how:    "Items a second, beside the ceiling's ordinary requests a second; five rounds in turns.",
		floors: []floor{atLeast(0.9, "items for each request of the ceiling", "")},
		within: 15 * time.Minute, measure: measureItems,
	},
	{
		name: "inprocess", title: "In-process",
		how:    "Typed events with customer and types and nothing else, by 1,024 callers; each answer durable. Medians of three runs.",
		floors: []floor{atLeast(800_000, "found", "/s"), atLeast(130_000, "new", "/s"), atLeast(800_000, "one hot customer", "/s")},
		within: 10 * time.Minute, measure: measureInProcess,
	},
	{
		name: "hot", title: "One hot customer over HTTP",
		how:    "All requests for one customer, beside the same spread over 20,000; five rounds in turns.",
		floors: []floor{atLeast(0.8, "of what is found of many", "")},
		within: 15 * time.Minute, measure: measureHot,
	},
	{
		name: "pace", title: "Latency at half of the highest rate",
		how:    "All creating, at even distances, half of what the same connections get without a pace; a latency counts from when its request was due. One fdatasync is the median of appends of 4 KB to the same disk, before and after.",
		floors: []floor{atMost(0.3, "p50 beyond one fdatasync", "ms"), atMost(3, "p99", "ms"), atMost(10, "p99.9", "ms")},
		within: 10 * time.Minute, measure: measurePace,
	},
	{
		name: "disk", title: "Bytes written to disk",
		how: "What the process caused to be written, by /proc, from its start to a clean stop after it had settled: frames, rows and all that Pebble does, compactions included. " +
			"The body is the contract's example, varied, as it is sent; the share of what is left without the white space between its tokens, which nobody keeps, stands below.",
		floors: []floor{atMost(0.8, "written for each byte of body", "")},
		within: 20 * time.Minute, disk: 8 * gib, measure: measureDisk,
	},
	{
		name: "memory", title: "Memory of an awake customer, and the collector",
		how:    "A customer with one service, state and task, the directory included, beside its extensions; then a million awake customers, half of the load found and half new.",
		floors: []floor{atMost(700, "an awake customer", "B"), atMost(14, "objects of it", ""), atMost(5, "garbage collector's share of CPU", "%")},
		within: 20 * time.Minute, disk: 4 * gib, measure: measureMemory,
	},
	{
		name: "tenmillion", title: "Ten million active customers in 4 GiB",
		how: "Beside a server with 100,000 customers and the same memory, three rounds in turns; found are drawn from all alike. " +
			"Then SIGKILL under load, and a start on the same folder, up to the first 200; the file system's cache is as the killed process left it.",
		floors: []floor{
			atMost(5, "highest resident memory", "GiB"), atLeast(0.5, "found, of that over 100,000", ""), atLeast(0.5, "creating, of that over 100,000", ""),
			atMost(2, "ready after SIGKILL", "s"),
		},
		within: 45 * time.Minute, disk: 30 * gib, measure: measureTenMillion,
	},
	{
		name: "endurance", title: "Twenty million writes",
		how:    "All creating over HTTP on one folder, a minute after the other; the first minute after 20 million writes beside the first of all.",
		floors: []floor{atLeast(0.9, "of the first minute's rate", "")},
		within: 90 * time.Minute, disk: 40 * gib, measure: measureEndurance,
	},
}
