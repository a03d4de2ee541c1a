package rivals

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/switchboard-cs/switchboard/bench"
)

//go:embed postgres.sql
var postgresSQL string

const (
	postgresStatement = "composite_start"
	postgresQuery     = "SELECT * FROM composite_start($1, $2, $3, $4, $5, $6, $7)"
)

// postgresTarget is a PostgreSQL with a schema for this run.
type postgresTarget struct {
	commit string // synchronous_commit
	run    string // the schema
	config *pgx.ConnConfig
}

func openPostgres(ctx context.Context, commit, url string) (bench.Target, error) {
	t := &postgresTarget{commit: commit, run: runName()}
	if url == "" {
		return nil, absent(t.Name(), envPostgres)
	}
	var err error
	if t.config, err = pgx.ParseConfig(url); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	t.config.RuntimeParams["synchronous_commit"] = commit
	t.config.RuntimeParams["search_path"] = t.run
	if err := t.exec(ctx, "CREATE SCHEMA "+t.run+"; "+postgresSQL); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *postgresTarget) Name() string { return "postgres-" + t.commit }

// Close removes the schema of this run.
func (t *postgresTarget) Close() error {
	return t.exec(context.Background(), "DROP SCHEMA "+t.run+" CASCADE")
}

// exec runs statements that belong to no connection of the load.
func (t *postgresTarget) exec(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%s: %.40s …: %w", t.Name(), sql, err)
	}
	return nil
}

// connect refuses a server that promises something else than the target's name says.
func (t *postgresTarget) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, t.config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	if err := t.check(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

func (t *postgresTarget) check(ctx context.Context, conn *pgx.Conn) error {
	for name, want := range map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": t.commit} {
		var got string
		if err := conn.QueryRow(ctx, "SHOW "+name).Scan(&got); err != nil {
			return fmt.Errorf("%s: SHOW %s: %w", t.Name(), name, err)
		}
		if got != want {
			return fmt.Errorf("%s: %s: want %s, got %s", t.Name(), name, want, got)
		}
	}
	return nil
}

func (t *postgresTarget) Dial(ctx context.Context) (bench.Conn, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Prepare(ctx, postgresStatement, postgresQuery); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: prepare: %w", t.Name(), err), conn.Close(ctx))
	}
	return &postgresConn{target: t, conn: conn}, nil
}

type postgresConn struct {
	target *postgresTarget
	conn   *pgx.Conn
	order  []int
	last   []outcome
}

func (c *postgresConn) Close() error { return c.conn.Close(context.Background()) }

// Do sends all items at once, which makes them one transaction with one commit.
func (c *postgresConn) Do(r *bench.Request) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	c.last = append(c.last[:0], make([]outcome, len(r.Items))...)
	var err error
	if len(r.Items) == 1 {
		err = scan(c.conn.QueryRow(ctx, postgresStatement, args(&r.Items[0])...), &c.last[0])
	} else {
		err = c.batch(ctx, r.Items)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.target.Name(), err)
	}
	return checkOutcomes(c.target.Name(), r, c.last)
}

func (c *postgresConn) batch(ctx context.Context, items []bench.Item) error {
	c.sort(items)
	var b pgx.Batch
	for _, i := range c.order {
		b.Queue(postgresStatement, args(&items[i])...)
	}
	results := c.conn.SendBatch(ctx, &b)
	for _, i := range c.order {
		if err := scan(results.QueryRow(), &c.last[i]); err != nil {
			return errors.Join(err, results.Close())
		}
	}
	return results.Close()
}

func args(item *bench.Item) []any {
	var task any // null, where an empty one would be an event
	if len(item.TaskJSON) > 0 {
		task = item.TaskJSON
	}
	return []any{item.Customer, item.Service, item.State, item.Task, item.ServiceJSON, item.StateJSON, task}
}

func scan(row pgx.Row, o *outcome) error {
	return row.Scan(&o.service, &o.serviceCreated, &o.state, &o.stateCreated, &o.task, &o.taskCreated)
}

// sort orders the items by the service that each one locks, so that two requests cannot wait for
// each other. Items of one service keep their order.
func (c *postgresConn) sort(items []bench.Item) {
	c.order = c.order[:0]
	for i := range items {
		c.order = append(c.order, i)
	}
	slices.SortStableFunc(c.order, func(i, j int) int {
		a, b := &items[i], &items[j]
		return cmp.Or(cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Service, b.Service))
	})
}
