package bench

import (
	"cmp"
	"io"
	"net"
	"syscall"
	"unsafe"
)

// exchanging is what an exchange of a connection needs.
type exchanging struct {
	raw    syscall.RawConn
	turn   func(fd uintptr) bool // sendAndRead, made once
	sent   bool
	failed error
}

// exchange sends the request and reads the first bytes that come back, with two system calls. A Write
// and a Read make three: the Read looks before it waits, when nothing can have come yet. And the
// runtime need not be told of calls that never wait. Both together are a seventh of what a request
// costs the load.
func (c *httpConn) exchange() error {
	if c.from < c.to {
		return malformed("%d bytes more than the last answer had", c.to-c.from)
	}
	c.from, c.to, c.sent, c.failed = 0, 0, false, nil
	return cmp.Or(c.raw.Read(c.turn), c.failed)
}

// sendAndRead is called to send, and again whenever there may be something to read; Read waits in
// between. No answer is too early: Read can be woken from before the first call on.
func (c *httpConn) sendAndRead(fd uintptr) (done bool) {
	if !c.sent {
		c.sent = true
		n, failed := rawCall(syscall.SYS_WRITE, fd, c.out)
		if failed != 0 {
			n = 0 // Write tells what it is, or waits for room
		}
		if n < len(c.out) {
			_, c.failed = c.socket.Write(c.out[n:])
		}
		return c.failed != nil
	}
	n, failed := rawCall(syscall.SYS_READ, fd, c.in)
	switch {
	case failed == syscall.EAGAIN || failed == syscall.EINTR:
		return false
	case failed != 0:
		c.failed = &net.OpError{Op: "read", Net: "tcp", Err: failed}
	case n == 0:
		c.failed = io.EOF
	default:
		c.to = n
	}
	return true
}

// rawCall reads or writes what the socket can take at once.
func rawCall(number, fd uintptr, b []byte) (n int, failed syscall.Errno) {
	r, _, failed := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(r), failed
}
