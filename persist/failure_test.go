package persist

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// broken is a file system whose log, once armed, cannot be synced, or cannot be written.
func broken(fs FS, armed *atomic.Bool, kinds ...errorfs.OpKind) FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && strings.HasSuffix(op.Path, ".log") {
			for _, kind := range kinds {
				if op.Kind == kind {
					return errorfs.ErrInjected
				}
			}
		}
		return nil
	}))
}

// When the log cannot be synced, or written, Fatal hears of it, and nobody who waits is
// released: not while Fatal has not returned, and not when it wrongly does. What was
// acknowledged before is there afterwards.
func TestDiskFails(t *testing.T) {
	syncs := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	for _, test := range []struct {
		name    string
		kinds   []errorfs.OpKind
		returns bool
	}{
		{"sync", syncs, false},
		{"sync, and Fatal returns", syncs, true},
		{"write", []errorfs.OpKind{errorfs.OpFileWrite}, false},
		{"write, and Fatal returns", []errorfs.OpKind{errorfs.OpFileWrite}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			var armed atomic.Bool
			failed := make(chan error, 10)
			o := testOptions(broken(fs, &armed, test.kinds...))
			o.Fatal = func(err error) {
				select {
				case failed <- err:
				default:
				}
				if !test.returns {
					runtime.Goexit() // the process would end here
				}
			}
			s := openStore(t, o)
			r := wake(t, s, alice)
			kept := r.start(t, nil)
			waitFor(t, s, r.watermark)

			armed.Store(true)
			lost := r.start(t, nil)
			ordinal := s.WriteRows(nil, nil)
			ctx, cancel := context.WithCancel(t.Context())
			waited := make(chan error, 2)
			go func() { waited <- s.Wait(ctx, r.watermark) }()
			go func() { waited <- s.WaitRows(ctx, ordinal) }()
			if err := <-failed; !errors.Is(err, errorfs.ErrInjected) && !strings.Contains(err.Error(), errorfs.ErrInjected.Error()) || !strings.Contains(err.Error(), o.Dir) {
				t.Errorf("Fatal hears %v", err)
			}
			if s.synced.Load() >= r.watermark || s.RowsWritten(ordinal) {
				t.Error("what failed counts as being on disk")
			}
			select {
			case err := <-waited:
				t.Errorf("one who waited was released with %v", err)
			default:
			}
			cancel()
			for range 2 {
				if err := <-waited; !errors.Is(err, context.Canceled) {
					t.Errorf("one who waited gets %v", err)
				}
			}

			// The process has ended; the store is never closed.
			s = openStore(t, testOptions(fs.CrashClone(vfs.CrashCloneCfg{})))
			r = wake(t, s, alice)
			if r.domain.Service(kept) == nil || r.domain.Service(lost) != nil {
				t.Errorf("services %+v are there", r.domain.Services())
			}
			closeStore(t, s)
		})
	}
}

// A flush that fails in the background is as final as a failed commit.
func TestFlushFails(t *testing.T) {
	var armed atomic.Bool
	failed := make(chan error, 10)
	o := testOptions(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && strings.HasSuffix(op.Path, ".sst") {
			return errorfs.ErrInjected
		}
		return nil
	})))
	o.Fatal = func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	s := openStore(t, o)
	r := wake(t, s, alice)
	r.start(t, nil)
	waitFor(t, s, r.watermark)
	armed.Store(true)
	if _, err := s.db.AsyncFlush(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, errorfs.ErrInjected) {
		t.Errorf("Fatal hears %v", err)
	}
}

// Whoever gives up waiting gets its context's error, and the records go to disk all the same.
func TestWaitGivesUp(t *testing.T) {
	fs := vfs.NewMem()
	gate := make(chan struct{})
	var armed atomic.Bool
	o := testOptions(errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && strings.HasSuffix(op.Path, ".log") {
			<-gate
		}
		return nil
	})))
	s := openStore(t, o)
	r := wake(t, s, alice)
	armed.Store(true)
	r.start(t, nil)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(over, r.watermark); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting gives %v", err)
	}
	if err := s.Sync(over); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for all gives %v", err)
	}
	close(gate)
	waitFor(t, s, r.watermark)
	if err := s.Wait(over, r.watermark); err != nil {
		t.Errorf("what is on disk needs no waiting: %v", err)
	}
	closeStore(t, s)
}
