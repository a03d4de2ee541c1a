package bench

import (
	_ "github.com/alecthomas/kong"
	_ "github.com/asynkron/protoactor-go/actor"
	_ "github.com/cockroachdb/datadriven"
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/cespare/xxhash/v2"
	_ "github.com/go-json-experiment/json/jsontext"
	_ "github.com/klauspost/compress/s2"
	_ "github.com/valyala/fasthttp"
	_ "go.uber.org/goleak"
)
