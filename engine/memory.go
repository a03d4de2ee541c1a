package engine

import (
	"os"
	"strconv"
	"strings"
)

// budget divides Options.Memory.
type budget struct {
	cache    int64 // Pebble's block cache
	table    int64 // one of Pebble's four memtables
	seen     int64 // knowing who has no rows
	requests int64 // details of requests in flight
	awake    int64 // awake customers
}

// divide takes Pebble's share and that of requests off first; of the rest, awake customers
// may be counted as half, since the garbage collector lets the heap grow to twice what is
// alive.
func divide(memory int64) budget {
	b := budget{
		cache:    min(max(memory/8, 8<<20), 1<<30),
		table:    min(max(memory/64, 1<<20), 16<<20),
		seen:     min(memory/512, 64<<20),
		requests: min(max(memory/16, 8<<20), 256<<20),
	}
	b.awake = (memory - b.cache - 4*b.table - b.seen - b.requests) / 2
	return b
}

// machineMemory is what this machine, or the group that the process runs in, has: 4 GiB
// where neither can be read.
func machineMemory() int64 {
	memory := int64(4 << 30)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
				if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil {
					memory = kib << 10
				}
			}
		}
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if bound, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			memory = min(memory, bound)
		}
	}
	return memory
}
