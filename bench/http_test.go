package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// scripted is a server that answers each request on each connection with the next of its texts,
// cut into packets at "|", and closes the connection after "!".
func scripted(t *testing.T, answers ...string) Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for len(answers) > 0 {
			socket, err := listener.Accept()
			if err != nil {
				return
			}
			answers = answerFrom(socket, answers)
			_ = socket.Close()
		}
	}()
	c, err := NewHTTP("scripted", listener.Addr().String()).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func answerFrom(socket net.Conn, answers []string) (left []string) {
	buffer := make([]byte, 4_096)
	for len(answers) > 0 {
		if _, err := socket.Read(buffer); err != nil {
			return answers
		}
		answer := answers[0]
		answers = answers[1:]
		for packet := range strings.SplitSeq(strings.TrimSuffix(answer, "!"), "|") {
			_, _ = io.WriteString(socket, packet)
			time.Sleep(time.Millisecond) // so that the next is a packet of its own
		}
		if strings.HasSuffix(answer, "!") {
			return answers
		}
	}
	return nil
}

// The client takes whatever HTTP/1.1 allows an answer to look like, and stays in step for the next.
func TestAwkwardAnswers(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	long := strings.Repeat("x", 3*answerBytes)
	for name, answer := range map[string]string{
		"plain":             good,
		"split":             "HTTP/1.1 20|0 OK\r\nConte|nt-Length: 2\r|\n\r|\n{|}",
		"names in capitals": "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:2\r\n\r\n{}",
		"no content":        "HTTP/1.1 204 No Content\r\n\r\n",
		"empty":             "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"chunked":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
		"chunks split":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n|2|\r\n{|}\r|\n0\r\nTrailer: x\r\n|\r\n",
		"long":              "HTTP/1.1 200 OK\r\nContent-Length: 49152\r\n\r\n" + long,
		"until the end":     "HTTP/1.1 200 OK\r\n\r\n" + long + "!",
		"closing":           "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}!",
	} {
		c := scripted(t, good, answer, good)
		for i := range 3 {
			if err := c.Do(&Request{Method: "GET", Path: "/"}); err != nil {
				t.Errorf("%s: request %d: %v", name, i, err)
			}
		}
	}
}

// What is no good answer is an error of its kind, and the next request is answered all the same.
func TestBadAnswers(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	for answer, kind := range map[string]string{
		"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy":               "status 503",
		"HTTP/1.1 404 None\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "status 404",
		"!": "closed by the server",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}!":                    "closed by the server",
		"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n":                     "malformed answer",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfour\r\n":      "malformed answer",
		"SSH-2.0-OpenSSH_9.9\r\n\r\n":                                        "malformed answer",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", answerBytes) + "\r\n": "malformed answer",
	} {
		c := scripted(t, answer, good)
		err := c.Do(&Request{Method: "GET", Path: "/"})
		if err == nil || Kind(err) != kind {
			t.Errorf("%.60q: %v, want %s", answer, err, kind)
		}
		if err := c.Do(&Request{Method: "GET", Path: "/"}); err != nil {
			t.Errorf("%.60q: the next request: %v", answer, err)
		}
	}
}

// Bytes that belong to no answer are not taken for the next one's.
func TestBytesBehindAnAnswer(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	c := scripted(t, good+good, good)
	for i, kind := range []string{"", "malformed answer", ""} {
		got := ""
		if err := c.Do(&Request{Method: "GET", Path: "/"}); err != nil {
			got = Kind(err)
		}
		if got != kind {
			t.Errorf("request %d: %q, want %q", i, got, kind)
		}
	}
}

// The answer to a composite start must say for each item what the item wants, however it is written
// and cut; the connection goes on after one that does not.
func TestOutcomesAreChecked(t *testing.T) {
	const created, found = `{"service_id":1,"created":"true"},"state":{"state_id":1,"created":"false"}`, `{"service_id" : 2, "created" : "false"},"task":{"created":"true"}`
	answer := func(items ...string) string {
		body := `{"services":[{"service":` + strings.Join(items, `},{"service":`) + `}]}`
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	many := make([]string, 100)
	wanted := make([]Want, len(many))
	for i := range many {
		many[i], wanted[i] = created+strings.Repeat(" ", 300), Created // longer than the buffer
	}
	for _, c := range []struct {
		wants  []Want
		answer string
		kind   string
	}{
		{[]Want{Created}, answer(created), ""},
		{[]Want{Found}, answer(found), ""},
		{[]Want{Either, Either}, answer(found, created), ""},
		{[]Want{Found, Created}, answer(found, created), ""},
		{wanted, answer(many...), ""},
		{[]Want{Created}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n{\"service_id\":1,\"created\":\"tru\r\n2\r\ne\"\r\n0\r\n\r\n", ""},
		{[]Want{Created}, answer(found), ErrFound.Error()},
		{[]Want{Created, Created}, answer(created, found), ErrFound.Error()},
		{[]Want{Found}, answer(created), ErrCreated.Error()},
		{[]Want{Found}, answer(found, found), "malformed answer"},
		{[]Want{Found, Found}, answer(found), "malformed answer"},
		{[]Want{Found}, "HTTP/1.1 204 None\r\n\r\n", "malformed answer"},
	} {
		conn := scripted(t, c.answer, answer(created))
		items := make([]Item, len(c.wants))
		for i, want := range c.wants {
			items[i].Wants = want
		}
		kind := ""
		if err := conn.Do(&Request{Method: "POST", Path: "/", Items: items}); err != nil {
			kind = Kind(err)
		}
		if kind != c.kind {
			t.Errorf("wanted %v, answered %.100q: %q, want %q", c.wants, c.answer, kind, c.kind)
		}
		if err := conn.Do(&Request{Method: "POST", Path: "/", Items: []Item{{Wants: Created}}}); err != nil {
			t.Errorf("%.100q: the next request: %v", c.answer, err)
		}
	}
}

// A Location tells the service that was started.
func TestStarted(t *testing.T) {
	c := scripted(t, "HTTP/1.1 201 Created\r\nLocation: /genesys/1/cs/services/6015\r\nContent-Length: 0\r\n\r\n")
	if err := c.Do(&Request{Method: "POST", Path: "/", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if id := c.(Starter).Started(); id != 6015 {
		t.Errorf("started %d, want 6015", id)
	}
}

// A server that is not there is told by its kind.
func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	_, err = NewHTTP("gone", listener.Addr().String()).Dial(t.Context())
	if err == nil || Kind(err) != "dial failed" || errors.Is(err, errMalformed) {
		t.Errorf("%v is of kind %s", err, Kind(err))
	}
}
