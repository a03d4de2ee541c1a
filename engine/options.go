package engine

import (
	"fmt"
	"os"
	"time"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// Options configure an Engine. Only Dir is mandatory; every other zero means its default.
type Options struct {
	// Dir is the folder that holds the data. It is made when it does not exist; one process
	// at a time holds it.
	Dir string
	// Memory is the budget in bytes for awake customers and Pebble's cache together. Default:
	// half of the machine's. At least MinMemory.
	Memory int64
	// Bounds of what a request may ask for.
	Bounds Bounds
	// MaxRequests bounds the requests in flight, MaxRequestsPerCustomer those for one customer
	// or contact key, MaxRequestBytes the bytes of details they carry; past one a request is
	// refused at once with ErrOverloaded.
	MaxRequests            int
	MaxRequestsPerCustomer int
	MaxRequestBytes        int64 // default: a sixteenth of Memory
	// TailBytes bounds the journal that a restart has to read, the part whose rows are not yet
	// written: its compressed bytes, and 200 for each record (a start or an end of a service, a
	// state or a task). Rows are written from three quarters of it on; at the bound requests
	// wait.
	TailBytes int64
	// ReserveBytes of free disk space are left alone: below, writes are refused with
	// ErrNoSpace, and reads go on. Negative: not watched.
	ReserveBytes int64

	// AutoCompleteAfter is when a service without a value of its own is completed: so long
	// after the last update of it or of anything in it. Zero: never.
	AutoCompleteAfter time.Duration
	// ExpireAfter is when a service without an expiration of its own is gone: so long after the
	// last update of it or of anything in it. Zero: never.
	ExpireAfter time.Duration

	// FS is the file system; nil is the machine's. Tests give one that crashes.
	FS persist.FS
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Fatal is called, from any goroutine, when the disk failed in a way after which nothing
	// more may be acknowledged. It must not return. Default: one line on stderr, exit 1.
	Fatal func(error)
	// Logf takes what an operator should hear of; nil drops it.
	Logf func(format string, args ...any)

	awake int64 // for tests: bytes of awake customers, in place of what Memory leaves for them
}

// Bounds of a request and of what is stored, from the contract. Zero means the default.
type Bounds struct {
	Items          int  // of one composite request; default 1,000
	KeyBytes       int  // of customer_id, contact_key and each type; default 256
	ActiveServices int  // of one customer or contact key; default 10,000
	Parts          int  // states and tasks of one service; default 10,000
	Extensions     int  // of one service, state or task; default 64
	ServiceBytes   int  // of the fields and extensions of one service, its states and tasks; default 16 MiB, at most 256 MiB
	NameBytes      int  // of an extension's name; default 128
	Depth          int  // nesting of a JSON text, its outermost counting one; default 64
	Strict         bool // HTTP also bounds session_id (32), interaction_id (50), disposition_desc (64 characters)
}

// The defaults of Options.
const (
	DefaultMaxRequests            = 16_384    // a waiting request holds some 10 KB: at most 160 MB
	DefaultMaxRequestsPerCustomer = 4_096     // so that one hot customer leaves room for others
	DefaultTailBytes              = 160 << 20 // read back in about a second: some 160,000 composite starts
	DefaultReserveBytes           = 256 << 20 // room to compact and to restart in
	DefaultServiceBytes           = 16 << 20  // a service is one row, read and written as a whole
	MinMemory                     = 64 << 20  // Pebble's tables and caches fit beside some customers
)

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		return fmt.Errorf("open engine: Options.Dir is empty")
	}
	setDefault(&o.Bounds.Items, 1_000)
	setDefault(&o.Bounds.KeyBytes, 256)
	setDefault(&o.Bounds.ActiveServices, 10_000)
	setDefault(&o.Bounds.Parts, 10_000)
	setDefault(&o.Bounds.Extensions, 64)
	setDefault(&o.Bounds.ServiceBytes, DefaultServiceBytes)
	setDefault(&o.Bounds.NameBytes, 128)
	setDefault(&o.Bounds.Depth, 64)
	setDefault(&o.MaxRequests, DefaultMaxRequests)
	setDefault(&o.MaxRequestsPerCustomer, DefaultMaxRequestsPerCustomer)
	setDefault(&o.TailBytes, DefaultTailBytes)
	setDefault(&o.ReserveBytes, DefaultReserveBytes)
	setDefault(&o.Memory, machineMemory()/2)
	if o.Memory < MinMemory {
		return fmt.Errorf("open engine: Options.Memory is %d bytes, the least is %d", o.Memory, MinMemory)
	}
	if b := o.Bounds.KeyBytes; b < 0 || b > persist.MaxKeyBytes {
		return fmt.Errorf("open engine: Options.Bounds.KeyBytes is %d, the most is %d", b, persist.MaxKeyBytes)
	}
	if b := o.Bounds.ServiceBytes; b < 0 || b > persist.MaxServiceBytes {
		return fmt.Errorf("open engine: Options.Bounds.ServiceBytes is %d, the most is %d", b, persist.MaxServiceBytes)
	}
	for name, after := range map[string]time.Duration{"AutoCompleteAfter": o.AutoCompleteAfter, "ExpireAfter": o.ExpireAfter} {
		if after < 0 || after > 0 && after < time.Second {
			return fmt.Errorf("open engine: Options.%s is %v, the least is a second", name, after)
		}
	}
	if o.TailBytes < 0 {
		return fmt.Errorf("open engine: Options.TailBytes is %d", o.TailBytes)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			fmt.Fprintf(os.Stderr, "switchboard: %v; nothing more can be acknowledged\n", err)
			os.Exit(1)
		}
	}
	return nil
}

func setDefault[T int | int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func (o *Options) timers() conversation.Timers {
	return conversation.Timers{
		AutoCompleteAfter: conversation.Instant(o.AutoCompleteAfter.Milliseconds()),
		ExpireAfter:       conversation.Instant(o.ExpireAfter.Milliseconds()),
	}
}

func (b Bounds) stored() conversation.Bounds {
	return conversation.Bounds{ActiveServices: b.ActiveServices, Parts: b.Parts, Extensions: b.Extensions, ServiceBytes: b.ServiceBytes}
}
