package bench

import (
	"net"
	"os"
	"runtime"
	"testing"
)

// The process behind a loopback URL is found, whichever loopback or wildcard address it listens on;
// nobody's is found where nobody listens, or the server is elsewhere.
func TestListenerIsFound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells in /proc")
	}
	for _, on := range []string{"127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "[::]:0", "0.0.0.0:0"} {
		l, err := net.Listen("tcp", on)
		if err != nil {
			t.Logf("%s: %v", on, err)
			continue
		}
		a := l.Addr().(*net.TCPAddr)
		if a.IP.IsUnspecified() {
			a.IP = net.IPv4(127, 0, 0, 1)
		}
		if pid := Listener(a.String()); pid != os.Getpid() {
			t.Errorf("who listens on %s is process %d, want %d", on, pid, os.Getpid())
		}
		_ = l.Close()
		if pid := Listener(a.String()); pid != 0 {
			t.Errorf("after it was closed, process %d listens on %s", pid, on)
		}
	}
	if pid := Listener("192.0.2.1:80"); pid != 0 {
		t.Errorf("process %d is a server elsewhere", pid)
	}
}
