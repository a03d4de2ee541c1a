package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/alecthomas/units"

	"github.com/switchboard-cs/switchboard/transport"
)

// serve is the command and its flags. Sizes take KiB, MiB and GiB, durations s, m and h.
type serve struct {
	HTTP string `name:"http" placeholder:"ADDR" default:"127.0.0.1:8080" help:"Address to listen on (${default})."`
	Data string `placeholder:"DIR" default:"switchboard-data" help:"Folder that holds the data; made when it does not exist (./${default})."`

	Tenants     string `placeholder:"NAMES" help:"Tenants, with commas between them, or @FILE with one a line: every request then names one in the header ContactCenterId (none: one store for all)."`
	Credentials string `placeholder:"FILE" help:"Users that are served, by HTTP Basic; each line name:SHA-256 of the password in hex, and :tenant,tenant… for a user that is not to act for all (everybody is served)."`

	engineFlags `embed:""`

	MaxConnections int              `placeholder:"N" default:"16384" help:"Open connections (${default})." group:"Load: more is refused with 503"`
	BodyBudget     units.Base2Bytes `placeholder:"SIZE" default:"64MiB" help:"Memory for long bodies that are arriving, all connections together (${default})." group:"Load: more is refused with 503"`
	Deadline       time.Duration    `placeholder:"TIME" default:"5s" help:"How long a request may wait for its answer (${default})." group:"Load: more is refused with 503"`
	ReadTimeout    time.Duration    `placeholder:"TIME" default:"30s" help:"How long a request may take to arrive (${default})." group:"Load: more is refused with 503"`
	IdleTimeout    time.Duration    `placeholder:"TIME" default:"2m" help:"How long a connection may be silent between requests (${default})." group:"Load: more is refused with 503"`
	DrainTimeout   time.Duration    `placeholder:"TIME" default:"30s" help:"How long requests in flight may take after SIGTERM (${default})." group:"Load: more is refused with 503"`

	MaxBody units.Base2Bytes `placeholder:"SIZE" default:"1MiB" help:"Body of a request; a longer one gets 413 (${default})." group:"Requests: past a bound 400"`

	CPUProfile string `name:"cpu-profile" placeholder:"FILE" help:"Write a CPU profile of the whole run, for go tool pprof." group:"Diagnosis"`
}

// Validate refuses flags that make no sense, with the flag's name.
func (s *serve) Validate() error {
	return cmp.Or(
		s.engineFlags.Validate(),
		within("--max-connections", s.MaxConnections, 1, 1<<20),
		within("--body-budget", s.BodyBudget, s.MaxBody, 1<<40),
		within("--max-body", s.MaxBody, 1<<10, 64<<20),
		within("--deadline", s.Deadline, time.Millisecond, time.Hour),
		within("--read-timeout", s.ReadTimeout, time.Millisecond, time.Hour),
		within("--idle-timeout", s.IdleTimeout, time.Millisecond, 24*time.Hour),
		within("--drain-timeout", s.DrainTimeout, 0, time.Hour),
	)
}

// gcPercent is how much of the live heap may be garbage before a collection, where --memory has room
// for it: the limit collects earlier. With 300,000 awake customers the collector takes 6 % of the CPU
// in place of 12; BenchmarkCollector of package engine measures it with the same.
const gcPercent = 400

// Run serves until a signal comes, then drains.
func (s *serve) Run() error {
	log.SetFlags(log.LstdFlags | log.LUTC)
	log.SetPrefix("switchboard: ")
	if s.CPUProfile != "" {
		stop, err := profile(s.CPUProfile)
		if err != nil {
			return err
		}
		defer stop()
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// One goroutine is nearly always in fdatasync, and keeps its place meanwhile: with as
		// many places as cores, a core would wait for the disk.
		runtime.GOMAXPROCS(2 * runtime.NumCPU())
	}
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	to, err := s.transport()
	if err != nil {
		return err
	}
	eo := s.engine()
	eo.Dir, eo.Logf = s.Data, log.Printf
	n, err := start(s.HTTP, eo, to, log.Printf)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n.engine.Memory())
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
	}
	log.Printf("serving on http://%s, data in %s, recovered in %v", n.address(), s.Data, n.recovery.Round(time.Millisecond/10))
	var failed error
	select {
	case <-signals.Done():
		stop() // a second signal ends the process at once
		log.Printf("draining")
	case failed = <-n.failed:
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.DrainTimeout)
	defer cancel()
	return errors.Join(failed, n.stop(ctx))
}

func (s *serve) transport() (transport.Options, error) {
	tenants, err := parseTenants(s.Tenants)
	if err != nil {
		return transport.Options{}, fmt.Errorf("--tenants: %w", err)
	}
	var credentials *transport.Credentials
	if s.Credentials != "" {
		if credentials, err = transport.LoadCredentials(s.Credentials, tenants); err != nil {
			return transport.Options{}, fmt.Errorf("--credentials: %w", err)
		}
	}
	return transport.Options{
		Tenants:         tenants,
		Credentials:     credentials,
		MaxBodyBytes:    int(s.MaxBody),
		BodyBudgetBytes: int64(s.BodyBudget),
		ReadTimeout:     s.ReadTimeout,
		IdleTimeout:     s.IdleTimeout,
		Deadline:        s.Deadline,
		MaxConnections:  s.MaxConnections,
		Logf:            log.Printf,
	}, nil
}

func profile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--cpu-profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("--cpu-profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}
