package persist

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The ways in which a folder cannot be opened, for errors.Is.
var (
	// ErrHeld: another process has the folder open.
	ErrHeld = errors.New("another process holds it")
	// ErrNewer: the folder was written by a newer program.
	ErrNewer = errors.New("it was written by a newer version of this program")
	// ErrForeign: the folder holds something else.
	ErrForeign = errors.New("it is not empty and not a data folder of this program")
)

const (
	// formatFile is read before anything else in the folder is touched.
	formatFile   = "FORMAT"
	formatPrefix = "switchboard data folder, format "
)

// claim makes the folder where it does not exist, takes its lock, and checks its format.
func claim(fs FS, dir string) (*pebble.Lock, error) {
	if err := makeFolder(fs, dir); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	// Before the lock as well: taking it makes a file, and what is not ours stays untouched.
	if _, err := isFresh(fs, dir); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w (%v)", dir, ErrHeld, err)
	}
	if err := checkFormat(fs, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// makeFolder makes dir and what is missing above it, and syncs every folder that has got a new
// one: else a power cut takes the whole of it, with everything that was acknowledged.
func makeFolder(fs FS, dir string) error {
	parent := fs.PathDir(dir)
	if _, err := fs.Stat(dir); err == nil || parent == dir {
		return nil
	}
	if err := makeFolder(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncFolder(fs, parent)
}

func syncFolder(fs FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func checkFormat(fs FS, dir string) error {
	fresh, err := isFresh(fs, dir)
	if err != nil || !fresh {
		return err
	}
	return writeFormat(fs, dir)
}

// isFresh tells a folder that has no format yet from one that has a format that we know.
func isFresh(fs FS, dir string) (bool, error) {
	names, err := fs.List(dir)
	if err != nil {
		return false, err
	}
	empty := true
	for _, name := range names {
		if name == formatFile {
			return false, readFormat(fs, dir)
		}
		// A crash between taking the lock and writing the format leaves these.
		empty = empty && (name == "LOCK" || name == formatFile+".new")
	}
	if !empty {
		return false, ErrForeign
	}
	return true, nil
}

func readFormat(fs FS, dir string) error {
	f, err := fs.Open(fs.PathJoin(dir, formatFile))
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return err
	}
	version, found := strings.CutPrefix(strings.TrimSpace(string(text)), formatPrefix)
	n, err := strconv.Atoi(version)
	switch {
	case !found || err != nil || n < 1:
		return fmt.Errorf("%s says %q: %w", formatFile, text, ErrForeign)
	case n > formatVersion:
		return fmt.Errorf("%s says %d, this program knows up to %d: %w", formatFile, n, formatVersion, ErrNewer)
	}
	return nil
}

// writeFormat lets the file appear whole or not at all.
func writeFormat(fs FS, dir string) error {
	path := fs.PathJoin(dir, formatFile)
	f, err := fs.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s%d\n", formatPrefix, formatVersion)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(path+".new", path); err != nil {
		return err
	}
	return syncFolder(fs, dir)
}
