// Package rivals is the work of a composite start done elsewhere, as a competent engineer would
// straightforwardly do it, so that a figure of Switchboard stands beside another one of the same
// machine and the same load.
//
//	nethttp                       straightforward.go, behind it straightforward_store.go:
//	                              net/http, encoding/json, guarded maps, Pebble with Sync for
//	                              each request; asked over HTTP, like Switchboard
//	redis-always, redis-everysec  redis.lua: one script a request, no HTTP, no JSON to read
//	postgres-on, postgres-off     postgres.sql: one function a request, likewise
//
// All of them find or create: the active service of that customer and type, in it the active
// state and the active task of those types; they store each event as it came, answer ids and
// whether each was created, and of identical requests at once let one create. All but
// redis-everysec and postgres-off answer only what is synced.
//
// They know nothing else: no contact keys, reads, ends, tenants or due times. What they leave out
// makes them faster.
//
// up.sh starts Redis and PostgreSQL for as long as they are needed; nethttp is served by
// [ServeStraightforward], best in a process of its own.
package rivals

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

const (
	// answerWithin is how long a rival may take for one answer. It is far past a sync that waits
	// behind a checkpoint, so that only what hangs is given up.
	answerWithin = 30 * time.Second
	// openWithin is how long making or removing a target's tables or keys may take.
	openWithin = time.Minute
)

// ErrAbsent is what Open gives, with the reason, when nobody has said where the rival's server is.
var ErrAbsent = errors.New("absent")

// Settings say where the rivals' servers are; empty means nowhere.
type Settings struct {
	NetHTTP       string // host:port of ServeStraightforward
	RedisAlways   string // host:port, with appendfsync always
	RedisEverysec string // host:port, with appendfsync everysec
	Postgres      string // connection URL, for both
}

// NetHTTP is the name of the rival that is served by ServeStraightforward.
const NetHTTP = "nethttp"

// The environment variables that up.sh prints, and one for nethttp beside them.
const (
	envNetHTTP       = "RIVAL_NETHTTP"
	envRedisAlways   = "RIVAL_REDIS_ALWAYS"
	envRedisEverysec = "RIVAL_REDIS_EVERYSEC"
	envPostgres      = "RIVAL_POSTGRES"
)

// SettingsFromEnv reads the environment variables that up.sh prints.
func SettingsFromEnv() Settings {
	return Settings{
		NetHTTP:       os.Getenv(envNetHTTP),
		RedisAlways:   os.Getenv(envRedisAlways),
		RedisEverysec: os.Getenv(envRedisEverysec),
		Postgres:      os.Getenv(envPostgres),
	}
}

// Rival is one of them.
type Rival struct {
	Name, About string
	// Open gives the target with nothing stored in it, or an error that wraps ErrAbsent. Closing
	// the target removes what was stored, but for nethttp, whose folder is its server's.
	Open func(context.Context, Settings) (bench.Target, error)
}

// All lists the rivals, in the order in which reports show them.
func All() []Rival {
	return []Rival{
		{
			NetHTTP, "net/http, encoding/json, guarded maps, Pebble with Sync for each request",
			func(_ context.Context, s Settings) (bench.Target, error) {
				return openNetHTTP(s.NetHTTP)
			},
		},
		{
			"redis-always", "Redis, one Lua script, appendfsync always",
			func(_ context.Context, s Settings) (bench.Target, error) {
				return openRedis("always", s.RedisAlways, envRedisAlways)
			},
		},
		{
			"redis-everysec", "Redis, one Lua script, appendfsync everysec: a power cut takes the last second",
			func(_ context.Context, s Settings) (bench.Target, error) {
				return openRedis("everysec", s.RedisEverysec, envRedisEverysec)
			},
		},
		{
			"postgres-on", "PostgreSQL, one PL/pgSQL function, synchronous_commit on",
			func(ctx context.Context, s Settings) (bench.Target, error) {
				return openPostgres(ctx, "on", s.Postgres)
			},
		},
		{
			"postgres-off", "PostgreSQL, one PL/pgSQL function, synchronous_commit off: a crash takes the last answers",
			func(ctx context.Context, s Settings) (bench.Target, error) {
				return openPostgres(ctx, "off", s.Postgres)
			},
		},
	}
}

func openNetHTTP(addr string) (bench.Target, error) {
	if addr == "" {
		return nil, fmt.Errorf("%s is %w: no address; serve it in a process of its own and set %s", NetHTTP, ErrAbsent, envNetHTTP)
	}
	return bench.NewHTTP(NetHTTP, addr), nil
}

func absent(name, env string) error {
	return fmt.Errorf("%s is %w: no address; bench/rivals/up.sh starts a server and prints its %s", name, ErrAbsent, env)
}

// outcome is what a rival answers to one item; task is 0 where the item had none.
type outcome struct {
	service, state, task                      int64
	serviceCreated, stateCreated, taskCreated bool
}

// runName keeps the data of one run apart from that of others in the same server.
func runName() string { return "rival_" + strings.ToLower(rand.Text()) }

// checkOutcomes refuses answers that cannot be those to r's items.
func checkOutcomes(name string, r *bench.Request, outcomes []outcome) error {
	if len(outcomes) != len(r.Items) {
		return fmt.Errorf("%s: %d answers to %d items", name, len(outcomes), len(r.Items))
	}
	for i, o := range outcomes {
		if o.service <= 0 || o.state <= 0 || (o.task <= 0) != (len(r.Items[i].TaskJSON) == 0) {
			return fmt.Errorf("%s: the answer to item %d lacks an id: %+v", name, i, o)
		}
		if err := r.Items[i].Check(o.serviceCreated); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
