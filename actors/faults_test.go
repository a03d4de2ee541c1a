package actors

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
	"github.com/switchboard-cs/switchboard/persist"
)

// A fault, and then a load that fails once: what was answered before is there again at the next
// try, and its rows can still be written.
func TestLoadFailsAfterFault(t *testing.T) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.HasSuffix(op.Path, ".blob") && (op.Kind == errorfs.OpFileReadAt || op.Kind == errorfs.OpFileRead) {
			return errors.New("planted")
		}
		return nil
	}))
	open := func() *Directory {
		store, err := persist.Open(persist.Options{
			Dir: "data", FS: fs, CacheBytes: 1, TableBytes: 1 << 20, TailBytes: 1 << 30, ReserveBytes: -1,
			Now: time.Now, Fatal: func(err error) { panic(err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return New(store, Options{
			Now:         func() conversation.Instant { return conversation.UnixEpoch },
			Bounds:      conversation.Bounds{ActiveServices: 10, Parts: 10, Extensions: 10, ServiceBytes: 1 << 20},
			MaxMessages: 10, AwakeBytes: 1 << 30, Logf: t.Logf,
		})
	}
	m := NewMessage()
	d := open()
	first := composite("alice", 0)
	random := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, 40_000) // so that her row holds it, in a blob file, which nobody else reads
	for i := range noise {
		noise[i] = byte('a' + random.IntN(26))
	}
	first.Service.Details = conversation.Details(nil).AppendExtension([]byte("noise"), []byte(`"`+string(noise)+`"`))
	if err := errors.Join(d.Send(alice, m.Decide(first)), m.Await(context.Background()), m.Err); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), d.store.Close()); err != nil { // her row is in a file after the next opening
		t.Fatal(err)
	}
	d = open()
	second := tell(t, d, m, "alice", 1) // a task that only the tail tells of
	if second.Outcome.ServiceCreated || !second.Outcome.TaskCreated {
		t.Fatalf("%+v", second.Outcome)
	}
	again := func() error {
		e := composite("alice", 1)
		if err := d.Send(alice, m.Decide(e)); err != nil {
			return err
		}
		return errors.Join(m.Await(context.Background()), m.Err)
	}
	if err := errors.Join(d.Send(alice, m.Decide((*conversation.ServiceEnd)(nil))), m.Await(context.Background())); err != nil || !errors.Is(m.Err, ErrFault) {
		t.Fatalf("%v; no fault: %v", err, m.Err)
	}
	broken.Store(true)
	if err := again(); err == nil {
		t.Fatal("what was to be read could not, and nobody noticed")
	}
	broken.Store(false)
	if err := again(); err != nil || m.Outcome.TaskCreated {
		t.Errorf("%+v, %v; the task was there", m.Outcome, err)
	}
	if err := errors.Join(d.Close(), d.store.Close()); err != nil { // it would find her unwritten for ever
		t.Error(err)
	}
}
