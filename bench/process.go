package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"
)

const (
	// readyWithin is longer than an empty store takes to open on a slow disk.
	readyWithin = 30 * time.Second
	// stopWithin is past serve's own --drain-timeout.
	stopWithin = 40 * time.Second
	// lastWords is how much of what a process said last is shown when it failed.
	lastWords = 2_000
)

// Process is a server that was started for the run, asked over HTTP, and is stopped by Close.
type Process struct {
	*HTTP
	cmd    *exec.Cmd
	stdin  io.Closer
	ended  chan struct{}
	after  func() error
	mu     sync.Mutex // guards said
	said   []byte
	server chan string // the address, once it is said
}

var servingOn = regexp.MustCompile(`serving on http://(\S+?),?\s`)

// StartProcess runs a command that says on stderr where it serves, and returns once it has. It calls
// after when the process has ended.
func StartProcess(name, path string, args []string, after func() error) (*Process, error) {
	p := &Process{cmd: exec.Command(path, args...), after: after, ended: make(chan struct{}), server: make(chan string, 1)}
	// Ctrl-C at the terminal is for the bench, which then stops its servers.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, after())
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, after())
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, after())
	}
	go p.listen(stderr)
	select {
	case address := <-p.server:
		p.HTTP = NewHTTP(name, address)
		return p, nil
	case <-p.ended:
		return nil, p.Close()
	case <-time.After(readyWithin):
		err = fmt.Errorf("did not serve within %v: %s", readyWithin, p.words())
	}
	return nil, errors.Join(err, p.Close())
}

// listen follows what the process says until it ends.
func (p *Process) listen(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		line := append(lines.Bytes(), '\n')
		if found := servingOn.FindSubmatch(line); found != nil {
			select {
			case p.server <- string(found[1]):
			default:
			}
		}
		p.mu.Lock()
		p.said = append(p.said, line...)
		p.said = p.said[max(0, len(p.said)-lastWords):]
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // Close tells how it ended
	close(p.ended)
}

func (p *Process) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.said)
}

// PID is the process that is watched.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process as a crash would.
func (p *Process) Kill() error {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.stdin.Close()
	return p.after()
}

// Written is what a process that has ended caused to be written to disk, in bytes.
func (p *Process) Written() int64 {
	const block = 512 // bytes: the kernel counts in these, whatever the disk's are
	return p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Oublock * block
}

// Close asks the process to end, and ends it when it does not.
func (p *Process) Close() error {
	select {
	case <-p.ended:
		return errors.Join(fmt.Errorf("process %d ended by itself (%v): %s", p.PID(), p.cmd.ProcessState, p.words()), p.after())
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	_ = p.stdin.Close()
	return p.after()
}
