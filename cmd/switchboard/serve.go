package main

import (
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

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/transport"
)

// serve is the command and its flags. Sizes take KiB, MiB and GiB, durations s, m and h.
type serve struct {
	HTTP string `name:"http" placeholder:"ADDR" default:"127.0.0.1:8080" help:"Address to listen on (${default})."`
	Data string `placeholder:"DIR" default:"switchboard-data" help:"Folder that holds the data; made when it does not exist (./${default})."`

	Tenants     string `placeholder:"NAMES" help:"Tenants, with commas between them, or @FILE with one a line: every request then names one in the header ContactCenterId (none: one store for all)."`
	Credentials string `placeholder:"FILE" help:"Users that are served, by HTTP Basic; each line name:SHA-256 of the password in hex, and :tenant,tenant… for a user that is not to act for all (everybody is served)."`

	AutoCompleteAfter time.Duration `placeholder:"TIME" help:"When a service without a value of its own is completed, after the last update of it or of anything in it, such as 90m or 720h (0: never; at least 1s)." group:"Lifetime"`
	ExpireAfter       time.Duration `placeholder:"TIME" help:"When a service without an expiration of its own is gone, after the last update of it or of anything in it, such as 2160h (0: never; at least 1s)." group:"Lifetime"`

	Memory  units.Base2Bytes `placeholder:"SIZE" help:"Memory for awake customers and caches together; the least recently used customers sleep on disk (half of the machine's; at least 64MiB)." group:"Resources"`
	Tail    units.Base2Bytes `placeholder:"SIZE" default:"160MiB" help:"Journal that a restart may have to read, compressed, and 200 bytes a record; at this bound requests wait (${default})." group:"Resources"`
	Reserve units.Base2Bytes `placeholder:"SIZE" default:"256MiB" help:"Free disk space to leave alone: below it writes get 507, and reads go on (${default}; 0 does not watch)." group:"Resources"`

	MaxConnections         int              `placeholder:"N" default:"16384" help:"Open connections (${default})." group:"Load: more is refused with 503"`
	MaxRequests            int              `placeholder:"N" default:"16384" help:"Requests in flight (${default})." group:"Load: more is refused with 503"`
	MaxRequestsPerCustomer int              `placeholder:"N" default:"4096" help:"Requests in flight for one customer or contact key (${default})." group:"Load: more is refused with 503"`
	BodyBudget             units.Base2Bytes `placeholder:"SIZE" default:"64MiB" help:"Memory for long bodies that are arriving, all connections together (${default})." group:"Load: more is refused with 503"`
	Deadline               time.Duration    `placeholder:"TIME" default:"5s" help:"How long a request may wait for its answer (${default})." group:"Load: more is refused with 503"`
	ReadTimeout            time.Duration    `placeholder:"TIME" default:"30s" help:"How long a request may take to arrive (${default})." group:"Load: more is refused with 503"`
	IdleTimeout            time.Duration    `placeholder:"TIME" default:"2m" help:"How long a connection may be silent between requests (${default})." group:"Load: more is refused with 503"`
	DrainTimeout           time.Duration    `placeholder:"TIME" default:"30s" help:"How long requests in flight may take after SIGTERM (${default})." group:"Load: more is refused with 503"`

	MaxBody           units.Base2Bytes `placeholder:"SIZE" default:"1MiB" help:"Body of a request; a longer one gets 413 (${default})." group:"Requests: past a bound 400"`
	MaxDepth          int              `placeholder:"N" default:"64" help:"Nesting of JSON, the outermost counting one (${default})." group:"Requests: past a bound 400"`
	MaxItems          int              `placeholder:"N" default:"1000" help:"Items of a composite start (${default})." group:"Requests: past a bound 400"`
	MaxKey            units.Base2Bytes `placeholder:"SIZE" default:"256B" help:"Length of customer_id, contact_key and types (${default})." group:"Requests: past a bound 400"`
	MaxActiveServices int              `placeholder:"N" default:"10000" help:"Active services of one customer or contact key (${default})." group:"Requests: past a bound 400"`
	MaxParts          int              `placeholder:"N" default:"10000" help:"States and tasks of one service (${default})." group:"Requests: past a bound 400"`
	MaxService        units.Base2Bytes `placeholder:"SIZE" default:"16MiB" help:"Fields and extensions of one service, its states and tasks together (${default})." group:"Requests: past a bound 400"`
	MaxExtensions     int              `placeholder:"N" default:"64" help:"Extensions of one service, state or task (${default})." group:"Requests: past a bound 400"`
	MaxExtensionName  units.Base2Bytes `placeholder:"SIZE" default:"128B" help:"Length of an extension's name (${default})." group:"Requests: past a bound 400"`
	Strict            bool             `help:"Also bound session_id (32), interaction_id (50) and disposition_desc (64 characters)." group:"Requests: past a bound 400"`

	CPUProfile string `name:"cpu-profile" placeholder:"FILE" help:"Write a CPU profile of the whole run, for go tool pprof." group:"Diagnosis"`
}

// maxKeyBytes is what a key's length may be set to: it stands in two bytes on disk.
const maxKeyBytes = 64<<10 - 1

// maxLifetime is what a service's lifetime may be set to: more than any store is kept for.
const maxLifetime = 100 * 365 * 24 * time.Hour

// Validate refuses flags that make no sense, with the flag's name.
func (s *serve) Validate() error {
	for _, f := range []struct {
		name       string
		value      int64
		least, max int64
	}{
		{"--tail", int64(s.Tail), 1 << 20, 1 << 40},
		{"--reserve", int64(s.Reserve), 0, 1 << 50},
		{"--max-connections", int64(s.MaxConnections), 1, 1 << 20},
		{"--max-requests", int64(s.MaxRequests), 1, 1 << 20},
		{"--max-requests-per-customer", int64(s.MaxRequestsPerCustomer), 1, 1 << 20},
		{"--body-budget", int64(s.BodyBudget), int64(s.MaxBody), 1 << 40},
		{"--max-body", int64(s.MaxBody), 1 << 10, 64 << 20},
		{"--max-depth", int64(s.MaxDepth), 4, 1_000},
		{"--max-items", int64(s.MaxItems), 1, 1 << 20},
		{"--max-key", int64(s.MaxKey), 1, maxKeyBytes},
		{"--max-active-services", int64(s.MaxActiveServices), 1, 1 << 20},
		{"--max-parts", int64(s.MaxParts), 1, 1 << 20},
		{"--max-service", int64(s.MaxService), 1 << 10, 256 << 20},
		{"--max-extensions", int64(s.MaxExtensions), 1, 1 << 16},
		{"--max-extension-name", int64(s.MaxExtensionName), 1, maxKeyBytes},
		{"--deadline", int64(s.Deadline), int64(time.Millisecond), int64(time.Hour)},
		{"--read-timeout", int64(s.ReadTimeout), int64(time.Millisecond), int64(time.Hour)},
		{"--idle-timeout", int64(s.IdleTimeout), int64(time.Millisecond), int64(24 * time.Hour)},
		{"--drain-timeout", int64(s.DrainTimeout), 0, int64(time.Hour)},
		{"--auto-complete-after", int64(s.AutoCompleteAfter), int64(time.Second), int64(maxLifetime)},
		{"--expire-after", int64(s.ExpireAfter), int64(time.Second), int64(maxLifetime)},
	} {
		if f.value == 0 && (f.name == "--auto-complete-after" || f.name == "--expire-after") {
			continue // never
		}
		if f.value < f.least || f.value > f.max {
			show := func(n int64) any { return n }
			switch f.name {
			case "--deadline", "--read-timeout", "--idle-timeout", "--drain-timeout", "--auto-complete-after", "--expire-after":
				show = func(n int64) any { return time.Duration(n) }
			}
			return fmt.Errorf("%s must be from %v to %v, not %v", f.name, show(f.least), show(f.max), show(f.value))
		}
	}
	if s.Memory != 0 && s.Memory < engine.MinMemory {
		return fmt.Errorf("--memory must be at least %v, not %v", units.Base2Bytes(engine.MinMemory), s.Memory)
	}
	return nil
}

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
	n, err := start(s.HTTP, s.engine(), to, log.Printf)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n.engine.Memory())
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

func (s *serve) engine() engine.Options {
	reserve := int64(s.Reserve)
	if reserve == 0 {
		reserve = -1
	}
	return engine.Options{
		Dir:                    s.Data,
		Memory:                 int64(s.Memory),
		MaxRequests:            s.MaxRequests,
		MaxRequestsPerCustomer: s.MaxRequestsPerCustomer,
		TailBytes:              int64(s.Tail),
		ReserveBytes:           reserve,
		AutoCompleteAfter:      s.AutoCompleteAfter,
		ExpireAfter:            s.ExpireAfter,
		Logf:                   log.Printf,
		Bounds: engine.Bounds{
			Items:          s.MaxItems,
			KeyBytes:       int(s.MaxKey),
			ActiveServices: s.MaxActiveServices,
			Parts:          s.MaxParts,
			ServiceBytes:   int(s.MaxService),
			Extensions:     s.MaxExtensions,
			NameBytes:      int(s.MaxExtensionName),
			Depth:          s.MaxDepth,
			Strict:         s.Strict,
		},
	}
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
