package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/transport"
)

// node is one running server: listener, HTTP front end and engine, wired together.
type node struct {
	listener net.Listener
	http     *transport.Server
	engine   *engine.Engine
	recovery time.Duration
	failed   chan error // holds the reason when listening ended by itself
}

// start listens first, so that whoever asks during recovery is told that it is not ready,
// and opens the engine then.
func start(address string, eo engine.Options, to transport.Options, logf func(string, ...any)) (*node, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, unwrapped(err))
	}
	n := &node{listener: listener, http: transport.New(to), failed: make(chan error, 1)}
	go func() {
		if err := n.http.Serve(listener); err != nil {
			n.failed <- fmt.Errorf("serve on %s: %w", address, err)
		}
	}()
	began := time.Now()
	if n.engine, err = engine.Open(eo); err != nil {
		return nil, errors.Join(err, n.http.Shutdown(context.Background()))
	}
	n.recovery = time.Since(began)
	n.http.SetEngine(n.engine)
	return n, nil
}

func (n *node) address() string { return n.listener.Addr().String() }

// stop drains: new requests are refused, those in flight answered, and what is left written.
func (n *node) stop(ctx context.Context) error {
	err := n.http.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("requests in flight were cut off: %w", err)
	}
	return errors.Join(err, n.engine.Close())
}

// unwrapped is the reason alone: net puts operation, network and address around it.
func unwrapped(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
