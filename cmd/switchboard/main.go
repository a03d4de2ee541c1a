// Command switchboard serves the context service over HTTP.
package main

import (
	"os"

	"github.com/alecthomas/kong"
)

// cli is what the command line can say; every command is a type with its flags as fields.
type cli struct {
	Serve serve `cmd:"" help:"Serve the API over HTTP until SIGTERM or SIGINT."`
}

func main() {
	var c cli
	parser := kong.Must(&c,
		kong.Name("switchboard"),
		kong.Description("A context service for call centres: which services, states and tasks are open for a customer. It answers the API of Genesys Context Services 8.5 for these, and only what is safely on disk."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
	)
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	parser.FatalIfErrorf(command.Run())
}
