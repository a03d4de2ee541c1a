package bench

import (
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// given is a server that runs already; its process is watched where it is on this machine.
type given struct {
	*HTTP
	pid int
}

func newGiven(name, address string) Target { return &given{NewHTTP(name, address), Listener(address)} }

// PID is 0 where the process is not to be seen.
func (g *given) PID() int { return g.pid }

// Listener is the process that listens on a loopback address, by what Linux tells in /proc; 0 where
// there is none, or it is another user's.
func Listener(address string) (pid int) {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || !a.IP.IsLoopback() {
		return 0
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if inode, ok := listens(line, a); ok {
				return holder("socket:[" + inode + "]")
			}
		}
	}
	return 0
}

// listens tells whether a line of the table is of a socket that takes connections to the address. It
// has numbers in hexadecimal: the local address, the remote one, the state, and six fields on the inode.
func listens(line string, a *net.TCPAddr) (inode string, ok bool) {
	const listening = "0A"
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != listening {
		return "", false
	}
	host, port, _ := strings.Cut(fields[1], ":")
	n, err := strconv.ParseUint(port, 16, 16)
	ip, hexErr := hex.DecodeString(host)
	if err != nil || hexErr != nil || int(n) != a.Port {
		return "", false
	}
	for i := 0; i+4 <= len(ip); i += 4 {
		slices.Reverse(ip[i : i+4]) // words of four bytes, the lowest first
	}
	return fields[9], net.IP(ip).IsUnspecified() || net.IP(ip).Equal(a.IP)
}

// holder is the first process that has the file open.
func holder(file string) (pid int) {
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*") // a pattern that is well formed
	for _, link := range open {
		if to, err := os.Readlink(link); err == nil && to == file {
			pid, _ = strconv.Atoi(strings.Split(link, "/")[2])
			return pid
		}
	}
	return 0
}
