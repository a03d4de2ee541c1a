package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/switchboard-cs/switchboard/engine"
)

// A program embeds the engine: it opens a folder, asks, and closes.
func Example() {
	dir, err := os.MkdirTemp("", "switchboard-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	e, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	call := engine.Composite{
		Service: engine.ServiceStart{CustomerID: "customer-1", Type: engine.String("RenewCard")},
		State:   engine.StateStart{Type: engine.String("Identify")},
	}
	for range 2 {
		outcomes, err := e.CompositeStart(context.Background(), []engine.Composite{call}, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(outcomes[0].ServiceCreated, outcomes[0].StateCreated)
	}
	// Output:
	// true true
	// false false
}
