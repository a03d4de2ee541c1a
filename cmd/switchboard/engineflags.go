package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/alecthomas/kong"
	"github.com/alecthomas/units"

	"github.com/switchboard-cs/switchboard/engine"
)

// engineFlags are those of the engine, whether it is served or in the bench's own process. Sizes take
// KiB, MiB and GiB, durations s, m and h.
type engineFlags struct {
	AutoCompleteAfter time.Duration `placeholder:"TIME" help:"When a service without a value of its own is completed, after the last update of it or of anything in it, such as 90m or 720h (0: never; at least 1s)." group:"Lifetime"`
	ExpireAfter       time.Duration `placeholder:"TIME" help:"When a service without an expiration of its own is gone, after the last update of it or of anything in it, such as 2160h (0: never; at least 1s)." group:"Lifetime"`

	Memory  units.Base2Bytes `placeholder:"SIZE" help:"Memory for awake customers and caches together; the least recently used customers sleep on disk (half of the machine's; at least 64MiB)." group:"Resources"`
	Tail    units.Base2Bytes `placeholder:"SIZE" default:"160MiB" help:"Journal that a restart may have to read, compressed, and 200 bytes a record; at this bound requests wait (${default})." group:"Resources"`
	Reserve units.Base2Bytes `placeholder:"SIZE" default:"256MiB" help:"Free disk space to leave alone: below it writes get 507, and reads go on (${default}; 0 does not watch)." group:"Resources"`

	MaxRequests            int `placeholder:"N" default:"16384" help:"Requests in flight (${default})." group:"Load: more is refused with 503"`
	MaxRequestsPerCustomer int `placeholder:"N" default:"4096" help:"Requests in flight for one customer or contact key (${default})." group:"Load: more is refused with 503"`

	MaxDepth          int              `placeholder:"N" default:"64" help:"Nesting of JSON, the outermost counting one (${default})." group:"Requests: past a bound 400"`
	MaxItems          int              `placeholder:"N" default:"1000" help:"Items of a composite start (${default})." group:"Requests: past a bound 400"`
	MaxKey            units.Base2Bytes `placeholder:"SIZE" default:"256B" help:"Length of customer_id, contact_key and types (${default})." group:"Requests: past a bound 400"`
	MaxActiveServices int              `placeholder:"N" default:"10000" help:"Active services of one customer or contact key (${default})." group:"Requests: past a bound 400"`
	MaxParts          int              `placeholder:"N" default:"10000" help:"States and tasks of one service (${default})." group:"Requests: past a bound 400"`
	MaxService        units.Base2Bytes `placeholder:"SIZE" default:"16MiB" help:"Fields and extensions of one service, its states and tasks together (${default})." group:"Requests: past a bound 400"`
	MaxExtensions     int              `placeholder:"N" default:"64" help:"Extensions of one service, state or task (${default})." group:"Requests: past a bound 400"`
	MaxExtensionName  units.Base2Bytes `placeholder:"SIZE" default:"128B" help:"Length of an extension's name (${default})." group:"Requests: past a bound 400"`
	Strict            bool             `help:"Also bound session_id (32), interaction_id (50) and disposition_desc (64 characters)." group:"Requests: past a bound 400"`
}

// maxKeyBytes is what a key's length may be set to: it stands in two bytes on disk.
const maxKeyBytes = 64<<10 - 1

// maxLifetime is what a service's lifetime may be set to: more than any store is kept for.
const maxLifetime = 100 * 365 * 24 * time.Hour

// Validate refuses flags that make no sense, with the flag's name.
func (f *engineFlags) Validate() error {
	if f.Memory != 0 && f.Memory < engine.MinMemory {
		return fmt.Errorf("--memory must be at least %v, not %v", units.Base2Bytes(engine.MinMemory), f.Memory)
	}
	return cmp.Or(
		orZero(f.AutoCompleteAfter, within("--auto-complete-after", f.AutoCompleteAfter, time.Second, maxLifetime)),
		orZero(f.ExpireAfter, within("--expire-after", f.ExpireAfter, time.Second, maxLifetime)),
		within("--tail", f.Tail, 1<<20, 1<<40),
		within("--reserve", f.Reserve, 0, 1<<50),
		within("--max-requests", f.MaxRequests, 1, 1<<20),
		within("--max-requests-per-customer", f.MaxRequestsPerCustomer, 1, 1<<20),
		within("--max-depth", f.MaxDepth, 4, 1_000),
		within("--max-items", f.MaxItems, 1, 1<<20),
		within("--max-key", f.MaxKey, 1, maxKeyBytes),
		within("--max-active-services", f.MaxActiveServices, 1, 1<<20),
		within("--max-parts", f.MaxParts, 1, 1<<20),
		within("--max-service", f.MaxService, 1<<10, 256<<20),
		within("--max-extensions", f.MaxExtensions, 1, 1<<16),
		within("--max-extension-name", f.MaxExtensionName, 1, maxKeyBytes),
	)
}

func within[T cmp.Ordered](flag string, value, least, most T) error {
	if value < least || value > most {
		return fmt.Errorf("%s must be from %v to %v, not %v", flag, least, most, value)
	}
	return nil
}

// orZero forgives a value that is not set.
func orZero[T comparable](value T, err error) error {
	if value == *new(T) {
		return nil
	}
	return err
}

// engine gives the options without a folder.
func (f *engineFlags) engine() engine.Options {
	reserve := int64(f.Reserve)
	if reserve == 0 {
		reserve = -1
	}
	return engine.Options{
		Memory:                 int64(f.Memory),
		MaxRequests:            f.MaxRequests,
		MaxRequestsPerCustomer: f.MaxRequestsPerCustomer,
		TailBytes:              int64(f.Tail),
		ReserveBytes:           reserve,
		AutoCompleteAfter:      f.AutoCompleteAfter,
		ExpireAfter:            f.ExpireAfter,
		Bounds: engine.Bounds{
			Items:          f.MaxItems,
			KeyBytes:       int(f.MaxKey),
			ActiveServices: f.MaxActiveServices,
			Parts:          f.MaxParts,
			ServiceBytes:   int(f.MaxService),
			Extensions:     f.MaxExtensions,
			NameBytes:      int(f.MaxExtensionName),
			Depth:          f.MaxDepth,
			Strict:         f.Strict,
		},
	}
}

// args are the flags as they were said, for a server that is started with them.
func (f engineFlags) args() (args []string) {
	for _, flag := range kong.Must(&f, kong.NoDefaultHelp()).Model.Flags {
		if flag.Default != "" || !flag.Target.IsZero() {
			args = append(args, fmt.Sprintf("--%s=%v", flag.Name, flag.Target.Interface()))
		}
	}
	return args
}

// groupEngineFlags puts them together in the help of the bench, where they are those of targets.
func groupEngineFlags(k *kong.Kong) error {
	title := &kong.Group{Key: "Engine", Title: "Engine: of the targets serve and engine"}
	for _, command := range k.Model.Leaves(true) {
		if _, is := command.Target.Addr().Interface().(*benchRun); !is {
			continue
		}
		for _, of := range kong.Must(&engineFlags{}, kong.NoDefaultHelp()).Model.Flags {
			for _, flag := range command.Flags {
				if flag.Name == of.Name {
					flag.Group = title
				}
			}
		}
	}
	return nil
}
