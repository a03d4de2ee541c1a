package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// large are details of some 4 KB.
var large = Details(nil).AppendExtension([]byte("large"), []byte(`"`+strings.Repeat("x", 4_000)+`"`))

// Nobody is told that a service does not exist before its deletion is safe, though it can be
// seen before that: a power cut would bring it back.
func TestNotFoundIsSafe(t *testing.T) {
	ctx, disk := context.Background(), vfs.NewCrashableMem()
	var stalled atomic.Bool
	entered, goOn := make(chan struct{}, 100), make(chan struct{}, 100)
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if stalled.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			entered <- struct{}{}
			<-goOn
		}
		return nil
	}))
	e := open(t, Options{FS: fs, Dir: "data"})
	id := start(t, e, triple("alice", "card", "offer", "call"))[0].Service
	if _, err := e.directory.WriteRows(ctx); err != nil {
		t.Fatal(err)
	}
	eventually := func(what string, is func() bool) {
		t.Helper()
		for until := time.Now().Add(10 * time.Second); !is(); runtime.Gosched() {
			if time.Now().After(until) {
				t.Fatalf("not in time: %s", what)
			}
		}
	}
	var running sync.WaitGroup
	stalled.Store(true)
	running.Go(func() { start(t, e, triple("bob", "card", "offer", "call")) })
	<-entered // bob's records are being synced; what comes now shares the next frame
	running.Go(func() { _ = e.DeleteService(ctx, id) })
	eventually("the deletion is decided", func() bool {
		c, stop := context.WithTimeout(ctx, time.Millisecond)
		defer stop()
		_, err := e.Service(c, id)
		return err != nil
	})
	running.Go(func() { _, _ = e.directory.WriteRows(ctx) })
	eventually("its rows wait", func() bool { return len(e.store.Oldest()) == 0 })
	goOn <- struct{}{}
	<-entered // and now the deletion and its rows
	eventually("it can be seen", func() bool {
		_, found, err := e.store.OwnerOf(id)
		return !found && err == nil
	})
	c, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	_, told := e.Service(c, id)
	stop()
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	stalled.Store(false)
	close(goOn)
	running.Wait()
	if _, err := open(t, Options{FS: after, Dir: "data"}).Service(ctx, id); err == nil && errors.Is(told, ErrNotFound) {
		t.Errorf("told %v, and a power cut brought it back", told)
	}
}

// Memory is counted as it is: not below nothing where services come from their rows and go, nor
// again and again where an extension is replaced.
func TestMemoryIsCounted(t *testing.T) {
	ctx, fs, clock := context.Background(), vfs.NewMem(), newHand()
	o := Options{FS: fs, Dir: "data", Now: clock.now}
	e := open(t, o)
	const customers = 100
	var ids []ServiceID
	for n := range 2 * customers {
		s := &ServiceStart{ContactKey: fmt.Sprint(n), Type: String("card"), Details: large}
		if n < customers {
			s.TTL = 60
		}
		id, err := e.StartService(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.EndService(ctx, &ServiceEnd{Service: id}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	counted := func(what string, each int64) {
		t.Helper()
		if _, err := e.directory.WriteRows(ctx); err != nil {
			t.Fatal(err)
		}
		awake, bytes := e.Awake()
		if least := 520 * int64(awake); bytes < least || bytes > least+each*int64(awake) {
			t.Errorf("%s: %d customers are counted as %d bytes", what, awake, bytes)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, o)
	clock.move(time.Hour)
	sweepAll(t, e)
	counted("expired", 0)
	for _, id := range ids[customers:] {
		if err := e.Associate(ctx, &ServiceAssociation{Service: id, CustomerID: "all"}); err != nil {
			t.Fatal(err)
		}
	}
	counted("associated", 64*4_600/200) // of all some wait for their rows
	id := start(t, e, triple("alice", "card", "offer", "call"))[0].Service
	_, before := e.Awake()
	for range 100 {
		if err := e.SetExtension(ctx, &ExtensionChange{Service: id, Name: "large", JSON: []byte(`"` + strings.Repeat("x", 4_000) + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, bytes := e.Awake(); bytes-before > 5_000 {
		t.Errorf("4 KB replaced a hundred times are counted as %d bytes", bytes-before)
	}
}

// While the sweeper wakes one after the other, those it is done with sleep again.
func TestSweeperKeepsTheBudget(t *testing.T) {
	const services, budget = 4_000, 100 * 1_200
	ctx, fs, clock := context.Background(), vfs.NewMem(), newHand()
	o := Options{FS: fs, Dir: "data", Now: clock.now}
	e := open(t, o)
	for n := range services {
		if _, err := e.StartService(ctx, &ServiceStart{CustomerID: fmt.Sprint(n), Type: String("card"), AutoCompleteAfter: 60}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	clock.move(time.Hour)
	o.awake = budget
	e = open(t, o)
	most := int64(0)
	for until := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		_, bytes := e.Awake()
		most = max(most, bytes)
		if most > 0 && bytes <= budget {
			if _, due := left(t, e); due == 0 {
				break
			}
		}
		if time.Now().After(until) {
			t.Fatal("the sweeper does not come by")
		}
	}
	if t.Logf("at most %d bytes awake of %d", most, budget); most > 10*budget {
		t.Errorf("%d bytes are awake, the budget is %d", most, budget)
	}
}

// The server's defaults change, and change back after a power cut in the middle of renewing due
// rows: what was made in between has its due row all the same.
func TestTimersThereAndBack(t *testing.T) {
	ctx, fs, clock := context.Background(), vfs.NewCrashableMem(), newHand()
	with := func(fs vfs.FS, after time.Duration) *Engine {
		return open(t, Options{FS: fs, Dir: "data", Now: clock.now, ExpireAfter: after})
	}
	begin := func(e *Engine, customer string) {
		if _, err := e.StartService(ctx, &ServiceStart{CustomerID: customer, Type: String("card")}); err != nil {
			t.Fatal(err)
		}
	}
	e := with(fs, time.Hour)
	for n := range 600 { // more than one step of renewal
		begin(e, fmt.Sprint(n))
	}
	sweepAll(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = with(fs, 0)
	begin(e, "between")
	if _, err := e.directory.WriteRows(ctx); err != nil {
		t.Fatal(err)
	}
	e = with(fs.CrashClone(vfs.CrashCloneCfg{}), time.Hour)
	sweepAll(t, e)
	clock.move(2 * time.Hour)
	sweepAll(t, e)
	if ids, due := left(t, e); ids != 0 || due != 0 {
		t.Errorf("%d services and %d due rows are left, all have expired", ids, due)
	}
}

// What a program stores as an extension is as strict as what comes over HTTP: else it could be
// neither shown nor merged into.
func TestExtensionsAreStrict(t *testing.T) {
	ctx, e := context.Background(), open(t, Options{})
	id := start(t, e, triple("alice", "card", "offer", "call"))[0].Service
	for _, value := range []string{
		`{"a":1,"a":2}`, "\"\xff\"", `"\ud800"`, `1 2`, ``, `{`, strings.Repeat("[", 65) + strings.Repeat("]", 65),
	} {
		if err := e.SetExtension(ctx, &ExtensionChange{Service: id, Name: "x", JSON: []byte(value)}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", value, err)
		}
	}
	deepest := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	if err := e.SetExtension(ctx, &ExtensionChange{Service: id, Name: "x", JSON: []byte(deepest)}); err != nil {
		t.Error(err)
	}
}
