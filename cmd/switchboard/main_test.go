package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the command itself when this is set, so that the tests run real
// processes without building anything.
const asCommand = "SWITCHBOARD_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	base string
	line string        // what it said when it was ready
	log  *bytes.Buffer // what it said after that; to be read once it has ended
	done chan error
}

var servingOn = regexp.MustCompile(`serving on (http://\S+), data in \S+, recovered in \S+`)

// serving starts a server on a free port and returns when it says that it serves.
func serving(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{
		cmd:  command(append([]string{"serve", "--http", "127.0.0.1:0", "--data", dir}, args...)...),
		log:  new(bytes.Buffer),
		done: make(chan error, 1),
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	found := servingOn.FindStringSubmatch(line)
	if err != nil || found == nil {
		t.Fatalf("the server said %q (%v)", line, err)
	}
	p.line, p.base = line, found[1]
	go func() {
		_, _ = io.Copy(p.log, lines)
		p.done <- p.cmd.Wait()
	}()
	return p
}

func (p *process) end(t *testing.T, signal syscall.Signal) error {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("still there 30 s after %v", signal)
		return nil
	}
}

const compositeStart = "/genesys/1/cs/services_composite/start"

func post(base, path, body string) (status int, reply string, err error) {
	r, err := http.Post(base+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

func get(base, path string) (status int, reply string, err error) {
	r, err := http.Get(base + path)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

// What cannot work is one clear line on stderr and an exit that is not zero.
func TestWhatCannotWork(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	held, lists := t.TempDir(), t.TempDir()
	serving(t, held)
	newer, foreign, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "file")
	for path, text := range map[string]string{
		filepath.Join(newer, "FORMAT"):    "switchboard data folder, format 999\n",
		filepath.Join(foreign, "letters"): "dear\n",
		file:                              "",
		filepath.Join(lists, "tenants"):   "# ours\nnorth\n\n south \nnorth\n",
		filepath.Join(lists, "nobody"):    "\n# nobody yet\n",
		filepath.Join(lists, "users"):     "ann:" + strings.Repeat("0a", 32) + ":west\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	serve := func(args ...string) []string {
		return append([]string{"serve", "--http", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}, args...)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{}, `expected one of "serve", "bench"`},
		{serve("--http", taken.Addr().String()), "address already in use"},
		{serve("--http", "nonsense"), "missing port in address"},
		{serve("--data", held), "another process holds it"},
		{serve("--data", newer), "says 999, this program knows up to 1: it was written by a newer version"},
		{serve("--data", foreign), "not empty and not a data folder"},
		{serve("--data", file), "not a directory"},
		{serve("--memory", "1MiB"), "--memory must be at least 64MiB, not 1MiB"},
		{serve("--memory", "lots"), "--memory"},
		{serve("--deadline", "0s"), "--deadline must be from 1ms to 1h0m0s, not 0s"},
		{serve("--deadline", "5"), "--deadline"},
		{serve("--max-items", "0"), "--max-items must be from 1 to"},
		{serve("--max-items", "many"), "--max-items"},
		{serve("--tail", "1KiB"), "--tail must be from"},
		{serve("--body-budget", "1KiB"), "--body-budget must be from"},
		{serve("--tenants", "north,,south"), "--tenants: an empty name"},
		{serve("--tenants", "north, north"), "--tenants: north is there twice"},
		{serve("--tenants", strings.Repeat("x", 256)), "--tenants: a name of 256 bytes, the bound is 255: xxx"},
		{serve("--tenants", "@"+filepath.Join(lists, "tenants")), "tenants:5: north is there twice"},
		{serve("--tenants", "@"+filepath.Join(lists, "nobody")), "nobody: no tenant in it"},
		{serve("--tenants", "@"+filepath.Join(lists, "missing")), "no such file or directory"},
		{serve("--credentials", filepath.Join(lists, "nobody")), "nobody: no user in it"},
		{serve("--credentials", filepath.Join(lists, "users")), `users:1: user ann: tenant "west" is not configured`},
		{serve("--auto-complete-after", "500ms"), "--auto-complete-after must be from 1s to 876000h0m0s, not 500ms"},
		{serve("--expire-after=-1s"), "--expire-after must be from 1s to 876000h0m0s, not -1s"},
		{serve("--expire-after", "1 day"), "--expire-after"},
		{serve("--colour"), "unknown flag --colour"},
		{serve("stray"), "unexpected argument stray"},
	} {
		var stdout, stderr bytes.Buffer
		cmd := command(c.args...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() <= 0 {
			t.Errorf("%q exits %d (%v)", c.args, cmd.ProcessState.ExitCode(), err)
		}
		said := strings.TrimSuffix(stderr.String(), "\n")
		if !strings.HasPrefix(said, "switchboard: error: ") || !strings.Contains(said, c.says) || strings.Contains(said, "\n") || stdout.Len() > 0 {
			t.Errorf("%q says %q and %q; it should say %q in one line", c.args, said, stdout.String(), c.says)
		}
	}
}

// Help names every flag with its unit or form, and its default.
func TestHelp(t *testing.T) {
	out, err := command("serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--http=ADDR", "--data=DIR", "--memory=SIZE", "--tail=SIZE", "--deadline=TIME", "--max-items=N", "--strict",
		"--tenants=NAMES", "--credentials=FILE", "--auto-complete-after=TIME", "--expire-after=TIME", "(0: never; at least 1s)", "(127.0.0.1:8080)", "(./switchboard-data)", "(1MiB)"} {
		if !bytes.Contains(bytes.Join(bytes.Fields(out), []byte(" ")), []byte(flag)) { // lines are broken anywhere
			t.Errorf("--help lacks %s", flag)
		}
	}
}

// SIGTERM under load answers what is in flight, refuses or does not accept what comes after,
// exits with 0, and the next start has every answer and reads no journal.
func TestDrain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := serving(t, dir)
	load := newLoad(p.base)
	load.run(8)
	load.await(500)
	if err := p.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("exit: %v\n%s", err, p.log)
	}
	load.stop()
	for _, refused := range load.refused {
		if !strings.HasPrefix(refused, "503 ") {
			t.Errorf("while draining: %s", refused)
		}
	}
	p = serving(t, dir)
	load.verify(t, p.base)
	if err := p.end(t, syscall.SIGINT); err != nil {
		t.Errorf("exit after SIGINT: %v\n%s", err, p.log)
	}
}

// A real process is killed with SIGKILL under load, again and again; everything that was
// answered is found again with the same ids by the next one.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	answered := 0
	for round := range 12 {
		// A short tail and little memory, so that rows are written and customers sleep.
		p := serving(t, dir, "--tail", "1MiB", "--memory", "64MiB")
		load := newLoad(p.base)
		load.prefix = fmt.Sprintf("r%d", round)
		load.run(8)
		load.await(200 + 150*round)
		_ = p.end(t, syscall.SIGKILL)
		load.stop()
		p = serving(t, dir)
		load.verify(t, p.base)
		_ = p.end(t, syscall.SIGKILL)
		answered += len(load.answers)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d answers, all found again", answered)
}

// Health, readiness and the node's status are answered by a running server.
func TestStatus(t *testing.T) {
	p := serving(t, filepath.Join(t.TempDir(), "data"))
	for path, want := range map[string]string{"/genesys/1/admin/node/status": "ONLINE", "/healthz": "", "/readyz": ""} {
		if status, reply, err := get(p.base, path); err != nil || status != 200 || !strings.Contains(reply, want) {
			t.Errorf("%s: %d %q %v", path, status, reply, err)
		}
	}
}
