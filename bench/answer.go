package bench

import (
	"bytes"
	"cmp"
	"errors"
	"io"
)

// answer is what is kept of one.
type answer struct {
	status  int
	length  int64 // of the body; -1 where it was not said
	service int64 // that Location named
	chunked bool
	closes  bool
}

// readAnswer reads head and body.
func (c *httpConn) readAnswer() error {
	head, err := c.head()
	if err != nil {
		return err
	}
	if err := c.answer.parse(head); err != nil {
		return err
	}
	a := &c.answer
	switch {
	case a.status == 204 || a.status == 304:
		return nil
	case a.chunked:
		return c.skipChunks()
	case a.length >= 0:
		return c.skip(a.length)
	}
	a.closes = true // the body ends with the connection
	for err == nil {
		c.take(c.to - c.from)
		err = c.more()
	}
	return endOf(err)
}

var emptyLine = []byte("\r\n\r\n")

// head is everything up to the empty line; it is whole until more is called.
func (c *httpConn) head() ([]byte, error) {
	for looked := c.from; ; {
		if i := bytes.Index(c.in[looked:c.to], emptyLine); i >= 0 {
			head := c.in[c.from : looked+i+2]
			c.from = looked + i + 4
			return head, nil
		}
		looked = max(c.from, c.to-3) - c.from // in a buffer that more moves to its front
		if err := c.more(); err != nil {
			return nil, err
		}
	}
}

// parse reads the status line and the fields that matter.
func (a *answer) parse(head []byte) error {
	*a = answer{length: -1}
	if len(head) < len("HTTP/1.1 200") || string(head[:7]) != "HTTP/1." || head[8] != ' ' {
		return malformed("status line %.40q", head)
	}
	for _, digit := range head[9:12] {
		if digit < '0' || digit > '9' {
			return malformed("status line %.40q", head)
		}
		a.status = a.status*10 + int(digit-'0')
	}
	a.closes = head[7] == '0'
	for {
		i := bytes.IndexByte(head, '\n')
		if i < 0 || i+1 == len(head) {
			return nil
		}
		head = head[i+1:]
		switch head[0] | 0x20 {
		case 'c':
			if v, ok := field(head, "content-length"); ok {
				n, rest := digits(v)
				if n < 0 || rest != 0 {
					return malformed("Content-Length %.40q", v)
				}
				a.length = n
			} else if v, ok := field(head, "connection"); ok {
				a.closes = bytes.EqualFold(v, []byte("close"))
			}
		case 't':
			if v, ok := field(head, "transfer-encoding"); ok {
				a.chunked = bytes.EqualFold(v, []byte("chunked"))
			}
		case 'l':
			if v, ok := field(head, "location"); ok {
				if at := bytes.Index(v, []byte("/services/")); at >= 0 {
					a.service, _ = digits(v[at+len("/services/"):])
				}
			}
		}
	}
}

// field is the value where the head's first line has that name, which is in lower case.
func field(head []byte, name string) (value []byte, ok bool) {
	if len(head) <= len(name) || head[len(name)] != ':' {
		return nil, false
	}
	for i := range name {
		if head[i]|0x20 != name[i]|0x20 {
			return nil, false
		}
	}
	line := head[len(name)+1:]
	return bytes.TrimSpace(line[:bytes.IndexByte(line, '\n')]), true
}

// digits reads a decimal number, -1 for none, and how many bytes are left behind it.
func digits(b []byte) (n int64, rest int) {
	i := 0
	for ; i < len(b) && i < 18 && b[i] >= '0' && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	if i == 0 {
		n = -1
	}
	return n, len(b) - i
}

// take goes over n bytes that are there, and keeps those that may be kept.
func (c *httpConn) take(n int) {
	kept := min(n, c.keeps)
	c.body = append(c.body, c.in[c.from:c.from+kept]...)
	c.keeps -= kept
	c.from += n
}

// skip reads n bytes of a body.
func (c *httpConn) skip(n int64) error {
	for {
		here := min(n, int64(c.to-c.from))
		c.take(int(here))
		if n -= here; n == 0 {
			return nil
		}
		if err := c.more(); err != nil {
			return unexpected(err)
		}
	}
}

// skipChunks reads a body in chunks, and the trailer behind the last.
func (c *httpConn) skipChunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, err := chunkSize(line)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := c.skip(size); err != nil {
			return err
		}
		if line, err := c.line(); err != nil || len(line) > 0 {
			return cmp.Or(err, malformed("%.20q behind a chunk of %d bytes", line, size))
		}
	}
	for {
		if line, err := c.line(); err != nil || len(line) == 0 {
			return err
		}
	}
}

// line is the next one, without its end.
func (c *httpConn) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(c.in[c.from:c.to], '\n'); i >= 0 {
			line := c.in[c.from : c.from+i]
			c.from += i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if err := c.more(); err != nil {
			return nil, unexpected(err)
		}
	}
}

func chunkSize(line []byte) (size int64, err error) {
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		line = line[:i]
	}
	if len(line) == 0 || len(line) > 8 {
		return 0, malformed("chunk size %.20q", line)
	}
	for _, digit := range line {
		v := bytes.IndexByte([]byte("0123456789abcdef"), digit|0x20)
		if v < 0 {
			return 0, malformed("chunk size %.20q", line)
		}
		size = size<<4 | int64(v)
	}
	return size, nil
}

// unexpected tells of an end in the middle of an answer.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// endOf takes the end for what it is where the body ends with the connection.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// What an answer says of each item stands behind these; the service comes first.
var serviceMember, createdMember = []byte(`"service_id"`), []byte(`"created"`)

// checkItems looks at the answer to a composite start: it must say of each item's service what the
// item wants, in their order. It does not read the JSON, which costs the load more than all else.
func checkItems(items []Item, body []byte) error {
	var wrong error
	for i := range items {
		created, rest, ok := nextCreated(body)
		if !ok {
			return malformed("of %d items, item %d is not answered: %.200q", len(items), i, body)
		}
		wrong = cmp.Or(wrong, items[i].Check(created))
		body = rest
	}
	if len(items) > 0 && bytes.Contains(body, serviceMember) {
		return malformed("more answers than %d items: %.200q", len(items), body)
	}
	return wrong
}

// nextCreated reads whether the next service was created.
func nextCreated(body []byte) (created bool, rest []byte, ok bool) {
	for _, member := range [][]byte{serviceMember, createdMember} {
		i := bytes.Index(body, member)
		if i < 0 {
			return false, nil, false
		}
		body = body[i+len(member):]
	}
	body = bytes.TrimLeft(body, ` :"`)
	created = bytes.HasPrefix(body, []byte("true"))
	return created, body, created || bytes.HasPrefix(body, []byte("false"))
}
