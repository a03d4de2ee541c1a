package rivals

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/switchboard-cs/switchboard/bench"
)

// maxReplyBytes is past the answer to as many items as a request may have.
const maxReplyBytes = 1 << 20

// netHTTP asks a straightforward server over HTTP, and keeps its answers: the bench's own client
// looks at their status alone.
type netHTTP struct{ addr string }

func (*netHTTP) Name() string { return "nethttp" }
func (*netHTTP) Close() error { return nil }

func (t *netHTTP) Dial(ctx context.Context) (bench.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("nethttp: %w", err)
	}
	return &netHTTPConn{conn: conn, host: t.addr, in: bufio.NewReader(conn)}, nil
}

type netHTTPConn struct {
	conn net.Conn
	host string
	in   *bufio.Reader
	out  []byte
	body []byte // of the last answer
}

func (c *netHTTPConn) Close() error { return c.conn.Close() }

func (c *netHTTPConn) Do(r *bench.Request) error {
	if err := c.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return fmt.Errorf("nethttp: %w", err)
	}
	c.out = fmt.Appendf(c.out[:0], "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", r.Method, r.Path, c.host, len(r.Body))
	c.out = append(c.out, r.Body...)
	if _, err := c.conn.Write(c.out); err != nil {
		return fmt.Errorf("nethttp: write: %w", err)
	}
	status, err := c.read()
	if err != nil {
		return fmt.Errorf("nethttp: read: %w", err)
	}
	if status != "200" {
		return fmt.Errorf("nethttp: %s %s: status %s: %.200s", r.Method, r.Path, status, c.body)
	}
	return nil
}

// read reads one answer, whose length stands in its head.
func (c *netHTTPConn) read() (status string, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	fields := bytes.SplitN(bytes.TrimSpace(line), []byte(" "), 3)
	if len(fields) < 2 {
		return "", fmt.Errorf("want a status line, got %q", line)
	}
	status = string(fields[1])
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return "", fmt.Errorf("Content-Length: %w", err)
			}
		}
	}
	if length < 0 || length > maxReplyBytes {
		return "", fmt.Errorf("status %s: want a Content-Length up to %d, got %d", status, maxReplyBytes, length)
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, err
}

func (c *redisConn) outcomes() ([]outcome, error) { return c.last, nil }

func (c *postgresConn) outcomes() ([]outcome, error) { return c.last, nil }

func (c *netHTTPConn) outcomes() ([]outcome, error) {
	var reply compositeReply
	if err := json.Unmarshal(c.body, &reply); err != nil {
		return nil, fmt.Errorf("nethttp: answer %q: %w", c.body, err)
	}
	var outcomes []outcome
	for _, item := range reply.Services {
		o := outcome{
			service: item.Service.ID, serviceCreated: item.Service.Created,
			state: item.State.ID, stateCreated: item.State.Created,
		}
		if item.Task != nil {
			o.task, o.taskCreated = item.Task.ID, item.Task.Created
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}
