// Command switchboard serves the context service over HTTP.
package main

import (
	"os"

	"github.com/alecthomas/kong"

	"github.com/switchboard-cs/switchboard/bench"
)

// cli is what the command line can say; every command is a type with its flags as fields.
type cli struct {
	Serve   serve        `cmd:"" help:"Serve the API over HTTP until SIGTERM or SIGINT."`
	Bench   benchCommand `cmd:"" help:"Measure a server under load, beside others on the same machine."`
	Ceiling ceiling      `cmd:"" name:"bench-ceiling" hidden:""`
	NetHTTP netHTTP      `cmd:"" name:"bench-nethttp" hidden:""`
}

func main() {
	registerRivals()
	var c cli
	parser := kong.Must(&c,
		kong.Name("switchboard"),
		kong.Description("A context service for call centres: which services, states and tasks are open for a customer. It answers the API of Genesys Context Services 8.5 for these, and only what is safely on disk."),
		kong.Vars{"targets": names(bench.Targets()), "workloads": names(bench.Workloads)},
		kong.PostBuild(groupEngineFlags),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
	)
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	parser.FatalIfErrorf(command.Run())
}
