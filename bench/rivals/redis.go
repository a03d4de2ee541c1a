package rivals

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/gomodule/redigo/redis"

	"github.com/switchboard-cs/switchboard/bench"
)

//go:embed redis.lua
var redisLua string

// The number of keys is the first argument, since it goes with the number of items.
var redisScript = redis.NewScript(-1, redisLua)

// scanKeys is how many keys one step of removing a run looks at.
const scanKeys = 1_000

// redisTarget is a Redis that writes all to its append-only file. A customer is one hash, so that
// the script touches only keys that it names, and what it creates is one HSET.
type redisTarget struct {
	policy, addr, run string
}

func openRedis(policy, addr, env string) (bench.Target, error) {
	t := &redisTarget{policy, addr, runName()}
	if addr == "" {
		return nil, absent(t.Name(), env)
	}
	conn, err := t.connect(context.Background())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for name, want := range map[string]string{"appendonly": "yes", "appendfsync": policy} {
		got, err := redis.Strings(conn.Do("CONFIG", "GET", name))
		if err != nil {
			return nil, fmt.Errorf("%s: CONFIG GET %s: %w", t.Name(), name, err)
		}
		if len(got) != 2 || got[1] != want {
			return nil, fmt.Errorf("%s: %s of %s: want %s, got %q", t.Name(), name, addr, want, got)
		}
	}
	return t, nil
}

func (t *redisTarget) Name() string { return "redis-" + t.policy }

// PID is that of the server, where it is on this machine.
func (t *redisTarget) PID() int { return bench.Listener(t.addr) }

func (t *redisTarget) connect(ctx context.Context) (redis.Conn, error) {
	conn, err := redis.DialContext(ctx, "tcp", t.addr, redis.DialReadTimeout(answerWithin), redis.DialWriteTimeout(answerWithin))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	return conn, nil
}

func (t *redisTarget) Dial(ctx context.Context) (bench.Conn, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := redisScript.Load(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: load the script: %w", t.Name(), err), conn.Close())
	}
	return &redisConn{target: t, conn: conn}, nil
}

// Close removes the keys of this run.
func (t *redisTarget) Close() error {
	conn, err := t.connect(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	for cursor := "0"; ; {
		var keys []any
		reply, err := redis.Values(conn.Do("SCAN", cursor, "MATCH", t.run+":*", "COUNT", scanKeys))
		if err == nil {
			_, err = redis.Scan(reply, &cursor, &keys)
		}
		if err == nil && len(keys) > 0 {
			_, err = conn.Do("UNLINK", keys...)
		}
		if err != nil {
			return fmt.Errorf("%s: remove %s: %w", t.Name(), t.run, err)
		}
		if cursor == "0" {
			return nil
		}
	}
}

type redisConn struct {
	target *redisTarget
	conn   redis.Conn
	args   []any
	last   []outcome
}

func (c *redisConn) Close() error { return c.conn.Close() }

func (c *redisConn) Do(r *bench.Request) error {
	c.args = append(c.args[:0], 1+len(r.Items), c.target.run+":last")
	for i := range r.Items {
		c.args = append(c.args, c.target.run+":customer:"+r.Items[i].Customer)
	}
	for i := range r.Items {
		item := &r.Items[i]
		c.args = append(c.args, item.Service, item.State, item.Task, item.ServiceJSON, item.StateJSON, item.TaskJSON)
	}
	numbers, err := redis.Int64s(redisScript.Do(c.conn, c.args...))
	if err != nil {
		return fmt.Errorf("%s: %w", c.target.Name(), err)
	}
	c.last = c.last[:0]
	for ; len(numbers) >= 6; numbers = numbers[6:] {
		c.last = append(c.last, outcome{
			service: numbers[0], serviceCreated: numbers[1] == 1,
			state: numbers[2], stateCreated: numbers[3] == 1,
			task: numbers[4], taskCreated: numbers[5] == 1,
		})
	}
	return checkOutcomes(c.target.Name(), r, c.last)
}
