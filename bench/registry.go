package bench

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sort"
	"strings"

	"github.com/switchboard-cs/switchboard/engine"
)

// Setup is what a target may need to come to be.
type Setup struct {
	Command   []string       // what runs this program again: its path
	Scratch   string         // a folder that targets make theirs below
	ServeArgs []string       // flags of the served switchboard
	Engine    engine.Options // of the embedded one; Dir is set for it
}

// Constructor makes a target. What it starts or makes it ends and removes with Close.
type Constructor func(ctx context.Context, s Setup) (Target, error)

type entry struct {
	about string
	open  Constructor
}

var registry = map[string]entry{}

// Register lets a target be asked for by name. It is called before main; a rival's package is
// imported for this alone.
func Register(name, about string, open Constructor) {
	if _, taken := registry[name]; taken {
		panic("bench: two targets are called " + name)
	}
	registry[name] = entry{about, open}
}

func init() {
	Register("serve", "switchboard serve, started on a free port and a folder of its own", openServe)
	Register(Ceiling, "a process that reads the body and answers 200 bytes: what HTTP alone costs", openCeiling)
	Register("engine", "the engine in this process, without HTTP", openEmbedded)
}

// Targets are the names that may be asked for, each with a word on what it is.
func Targets() (names [][2]string) {
	for name, e := range registry {
		names = append(names, [2]string{name, e.about})
	}
	sort.Slice(names, func(i, j int) bool { return names[i][0] < names[j][0] })
	return names
}

// Open makes a target by its name, or takes the server at http://host:port.
func Open(ctx context.Context, name string, s Setup) (Target, error) {
	if strings.Contains(name, "://") {
		u, err := url.Parse(name)
		if err != nil || u.Scheme != "http" || u.Port() == "" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("target must be a name or http://HOST:PORT, not %q", name)
		}
		return newGiven(name, u.Host), nil
	}
	e, ok := registry[name]
	if !ok {
		var names []string
		for _, t := range Targets() {
			names = append(names, t[0])
		}
		return nil, fmt.Errorf("target must be http://HOST:PORT or one of %s, not %q", strings.Join(names, ", "), name)
	}
	t, err := e.open(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	return t, nil
}

func openServe(_ context.Context, s Setup) (Target, error) {
	return Start("serve", s, append([]string{"serve", "--http", "127.0.0.1:0"}, s.ServeArgs...)...)
}

// Start makes a target of a command of this program. It gets --data and a folder of its own, says
// on stderr where it serves, and ends with SIGTERM.
func Start(name string, s Setup, command ...string) (Target, error) {
	dir, err := os.MkdirTemp(s.Scratch, "switchboard-bench-")
	if err != nil {
		return nil, err
	}
	args := append(append(s.Command[1:len(s.Command):len(s.Command)], command...), "--data", dir)
	p, err := StartProcess(name, s.Command[0], args, func() error { return os.RemoveAll(dir) })
	if err != nil {
		return nil, err
	}
	return p, nil
}

func openCeiling(ctx context.Context, s Setup) (Target, error) {
	args := append(s.Command[1:len(s.Command):len(s.Command)], CeilingCommand)
	p, err := StartProcess(Ceiling, s.Command[0], args, func() error { return nil })
	if err != nil {
		return nil, err
	}
	return p, nil
}

func openEmbedded(ctx context.Context, s Setup) (Target, error) {
	dir, err := os.MkdirTemp(s.Scratch, "switchboard-bench-")
	if err != nil {
		return nil, err
	}
	o := s.Engine
	o.Dir = dir
	return NewEmbedded(o, func() error { return os.RemoveAll(dir) })
}
