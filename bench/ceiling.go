package bench

import (
	"bytes"
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

// ceilingBytes is what the ceiling answers: a composite start of one item answers some 140 bytes of
// JSON and some 50 of Location.
const ceilingBytes = 200

var ceilingAnswer = bytes.Repeat([]byte("-"), ceilingBytes)

// ServeCeiling serves what no server on fasthttp can be faster than: a handler that reads the
// body, answers 200 bytes that say nothing, and does nothing else. It says where on stderr, as serve
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
	ctx.Response.SetBodyRaw(ceilingAnswer)
}
