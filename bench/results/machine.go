package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// machine says in a line what is measured on.
func machine(dir string) string {
	memory := field("/proc/meminfo", "MemTotal")
	var kib int64
	_, _ = fmt.Sscan(memory, &kib)
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores (%s), %.1f GiB of memory, %s, Linux %s, %s",
		runtime.NumCPU(), field("/proc/cpuinfo", "model name"), float64(kib)/(1<<20), fileSystem(dir), strings.TrimSpace(string(kernel)), runtime.Version())
}

// field is the first of that name in a file of /proc.
func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(n) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// fileSystem is that of the longest mount that holds the folder.
func fileSystem(dir string) string {
	mounts, _ := os.ReadFile("/proc/mounts")
	longest, kind := "", "an unknown file system"
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if inside, err := filepath.Rel(f[1], dir); err == nil && !strings.HasPrefix(inside, "..") && len(f[1]) >= len(longest) {
			longest, kind = f[1], f[2]
		}
	}
	return kind
}

func freeBytes(dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0
	}
	return int64(s.Bavail) * s.Bsize
}

// gitCommit tells whether anything but what is written here differs from it.
func (l *lab) gitCommit() string {
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", l.root}, args...)...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	commit := git("rev-parse", "--short", "HEAD")
	if commit == "" {
		return "unknown"
	}
	if git("status", "--porcelain", "--", ".", ":!bench/figures", ":!bench/RESULTS.md") != "" {
		commit += " with changes"
	}
	return commit
}

// syncTime is the median of what appending 4 KB and fdatasync take on the disk of the folder.
func syncTime(dir string, times int) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "appended"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block, took := make([]byte, 4<<10), make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, fmt.Errorf("fdatasync: %w", err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[times/2], nil
}
