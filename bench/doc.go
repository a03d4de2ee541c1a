// Package bench puts load on Switchboard, or on what it is compared with, and reports what came
// of it. The command switchboard bench is flags over it; bench/results runs that for every figure
// that is promised, and writes RESULTS.md.
//
// # The way of a run
//
//	1 registry.go    names to targets: process.go starts a server, ceiling.go is the bare one,
//	                 embedded.go the engine in this process, listener.go finds the process of a
//	                 server that is given by its URL; rivals register theirs
//	2 run.go         for each target in turn: connections, and the customers that are to be found
//	3 loop.go        each connection in a goroutine: sends when it was answered, or what is due
//	  generator.go   the next request, after workload.go: body.go fills the page's example,
//	                 words.go has the words, conversation.go the 33 requests of a call
//	4 http.go        a client that allocates nothing; exchange.go sends and reads with two system
//	                 calls, answer.go looks at what comes back
//	5 record.go      latencies into histograms, errors by kind
//	6 run.go         looks on from outside, a window at a time; usage.go at the server's process
//	7 result.go      one round; report.go the medians over rounds, as a table and as JSON
//
// search.go runs it at several rates, and compare.go tells noise from change between two reports;
// html.go makes a page of one, with the charts of chart.go.
//
// # What holds
//
// With a rate, a request's latency counts from when it was due, whatever came before it: a server
// that stops for a second delays all that was due in that second, and they all say so. What was
// due and found no time to be sent counts with what it had waited.
//
// Each item of a composite start wants to create or to find, and an answer that says the other is an
// error, of a kind of its own, as much as a refusal: so a load that has run out of new customers, or
// a server that forgets, is no fast server.
//
// A request is made before its time begins, and costs about a microsecond; the report has what
// the load itself took, which on shared cores the server does not have.
//
// Targets take turns within one run, since a machine's speed changes from minute to minute: what
// is compared is the share of the ceiling in the same round.
//
// # Guests
//
// HdrHistogram, or we would write histograms that keep three digits from 100 ns to 100 s;
// gonum.org/v1/plot, or we would write axes, ticks and legends; fasthttp is here for the ceiling
// alone.
package bench
