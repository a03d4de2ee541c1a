package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process has used up to now.
type Usage struct {
	CPU     time.Duration `json:"cpu"`     // user and system
	Memory  int64         `json:"memory"`  // resident bytes
	Written int64         `json:"written"` // bytes it caused to be written to disk
}

// clockTicks of /proc are a hundredth of a second on every Linux there is.
const clockTicks = 100

// UsageOf reads /proc. Where there is none, or the process is another user's, it tells why.
func UsageOf(pid int) (u Usage, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, fmt.Errorf("watch process %d: %w", pid, err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 22 {
		return u, fmt.Errorf("watch process %d: %s/stat has %d fields", pid, dir, len(fields)+2)
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64) // the 14th, counted with the name
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	pages, _ := strconv.ParseInt(fields[21], 10, 64)
	u.CPU = time.Duration(user+system) * time.Second / clockTicks
	u.Memory = pages * int64(os.Getpagesize())
	if io, err := os.ReadFile(dir + "/io"); err == nil {
		for line := range strings.Lines(string(io)) {
			if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
				u.Written, _ = strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			}
		}
	}
	return u, nil
}

// ownCPU is what this process has used: with an engine in it, the engine's as well.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
