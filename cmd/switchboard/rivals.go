package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/switchboard-cs/switchboard/bench"
	"github.com/switchboard-cs/switchboard/bench/rivals"
)

// registerRivals makes the rivals targets of the bench. nethttp is started here as serve is; the
// servers of the others are started by bench/rivals/up.sh, which prints where they are.
func registerRivals() {
	settings := rivals.SettingsFromEnv()
	for _, r := range rivals.All() {
		bench.Register(r.Name, r.About, func(ctx context.Context, s bench.Setup) (bench.Target, error) {
			if r.Name == rivals.NetHTTP && settings.NetHTTP == "" {
				return bench.Start(r.Name, s, "bench-nethttp")
			}
			return r.Open(ctx, settings)
		})
	}
}

// netHTTP is the rival that needs no server of others.
type netHTTP struct {
	Data string `required:""`
}

// Run serves until SIGTERM.
func (n *netHTTP) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "serving on http://%s\n", l.Addr())
	return rivals.ServeStraightforward(ctx, l, n.Data)
}
