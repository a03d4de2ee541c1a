package bench

import (
	"fmt"
	"io"
	"net"
	"os"

	"github.com/valyala/fasthttp"
)

// Ceiling is the target that others are a share of.
const Ceiling = "ceiling"

// CeilingCommand is the hidden command of the binary that serves the ceiling.
const CeilingCommand = "bench-ceiling"

// ceilingAnswer is as long as a composite start's.
const ceilingAnswer = `{"services":[{"service":{"service_id":111222333444,"created":"true"},"state":{"state_id":1,"created":"true"},"task":{"task_id":2,"created":"true"}}]}`

// ServeCeiling serves what no server on fasthttp can be faster than: a handler that reads the
// body and answers as many bytes as a composite start does. It says where on stderr, as serve
// does, and ends when stdin does: a bench that was killed leaves none behind.
func ServeCeiling(stdin io.Reader) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("ceiling: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		os.Exit(0)
	}()
	fmt.Fprintf(os.Stderr, "serving on http://%s\n", listener.Addr())
	server := &fasthttp.Server{NoDefaultServerHeader: true, Handler: answerAtOnce}
	return server.Serve(listener)
}

func answerAtOnce(ctx *fasthttp.RequestCtx) {
	_ = ctx.PostBody()
	ctx.Response.Header.Set("Location", "/genesys/1/cs/services/111222333444/tasks/2")
	ctx.SetContentType("application/json")
	ctx.SetBodyString(ceilingAnswer)
}
