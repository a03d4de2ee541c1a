package persist

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func writeAll(t *testing.T, fs FS, path, text string) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func readAll(t *testing.T, fs FS, path string) string {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mustMkdir(t *testing.T, fs FS, dir string) {
	t.Helper()
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// refuse opens a folder that cannot be opened, and says why by kind and by text.
func refuse(t *testing.T, o Options, kind error, says ...string) {
	t.Helper()
	s, err := Open(o)
	if err == nil {
		closeStore(t, s)
	}
	if !errors.Is(err, kind) {
		t.Fatalf("opening gives %v, not %v", err, kind)
	}
	for _, text := range append(says, o.Dir) {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not name %q", err, text)
		}
	}
}

// A folder is open once at a time, on a real disk: a second one is told that it is held, and
// gets it when the first one has closed.
func TestFolderHeld(t *testing.T) {
	o := testOptions(nil)
	o.Dir = filepath.Join(t.TempDir(), "new", "data")
	s := openStore(t, o)
	refuse(t, o, ErrHeld)
	r := wake(t, s, alice)
	r.start(t, nil)
	waitFor(t, s, r.watermark)
	closeStore(t, s)
	s = openStore(t, o)
	if n := len(wake(t, s, alice).domain.Services()); n != 1 {
		t.Errorf("%d services", n)
	}
	closeStore(t, s)
}

// A folder of a newer program is left alone, and the message names both versions.
func TestFolderNewer(t *testing.T) {
	fs := vfs.NewMem()
	mustMkdir(t, fs, "data")
	writeAll(t, fs, "data/FORMAT", "switchboard data folder, format 2\n")
	refuse(t, testOptions(fs), ErrNewer, "says 2", "up to 1")
	if names, _ := fs.List("data"); !slices.Equal(names, []string{"FORMAT"}) {
		t.Errorf("it now holds %v", names)
	}
}

// A folder that holds something else is refused and stays as it was, byte by byte.
func TestFolderForeign(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "diary.txt")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := testOptions(nil)
	o.Dir = dir
	refuse(t, o, ErrForeign)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); len(entries) != 1 || string(b) != "mine" || err != nil {
		t.Errorf("it now holds %v, and in the diary %q, %v", entries, b, err)
	}
}

// A FORMAT that is none of ours is somebody else's, whatever it says.
func TestFolderForeignFormat(t *testing.T) {
	for _, text := range []string{"", "1\n", "switchboard data folder, format 0\n", "switchboard data folder, format x\n", strings.Repeat("x", 1000)} {
		fs := vfs.NewMem()
		mustMkdir(t, fs, "data")
		writeAll(t, fs, "data/FORMAT", text)
		refuse(t, testOptions(fs), ErrForeign)
	}
}

// Opening may be cut off anywhere before the format is there, and is then begun again.
func TestFolderHalfMade(t *testing.T) {
	for _, names := range [][]string{nil, {"LOCK"}, {"LOCK", "FORMAT.new"}} {
		fs := vfs.NewMem()
		mustMkdir(t, fs, "data")
		for _, name := range names {
			writeAll(t, fs, "data/"+name, "swit")
		}
		closeStore(t, openStore(t, testOptions(fs)))
		if text := readAll(t, fs, "data/FORMAT"); text != "switchboard data folder, format 1\n" {
			t.Errorf("with %v: FORMAT says %q", names, text)
		}
	}
}

// A power cut right after the first answer does not take the folder, with the ones above it
// that were made for it.
func TestNewFolderSurvives(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs)
	o.Dir = "var/lib/switchboard"
	s := openStore(t, o)
	r := wake(t, s, alice)
	r.start(t, nil)
	waitFor(t, s, r.watermark)
	o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	s = openStore(t, o)
	if n := len(wake(t, s, alice).domain.Services()); n != 1 {
		t.Errorf("%d services are left", n)
	}
	closeStore(t, s)
}
