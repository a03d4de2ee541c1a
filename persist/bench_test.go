package persist

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// traffic is what composite starts leave: three records, each with a few fields and two
// extensions of which some words and numbers differ from call to call; 1.3 KB of details.
type traffic struct {
	random *rand.Rand
	n      int
}

func newTraffic() *traffic { return &traffic{random: rand.New(rand.NewPCG(1, 1))} }

var words = []string{
	"VIP credit card black ed.", "3 times payment GOLD", "life insurance", "proposed to all client", "limited offer",
	"warm welcome at frontdesk, thanks for the nice trip", "Terranova mexico resort", "Fancy resort Paris", "survey",
}

func (t *traffic) details() conversation.Details {
	d := conversation.Details(nil).
		AppendField(conversation.InteractionID, fmt.Appendf(nil, `"%016X"`, t.random.Uint64())).
		AppendField(conversation.ApplicationType, []byte(`"App_type_1"`)).
		AppendField(conversation.ResourceID, fmt.Append(nil, t.random.IntN(10_000))).
		AppendField(conversation.MediaType, []byte(`"voice"`))
	word := func() string { return words[t.random.IntN(len(words))] }
	for _, name := range []string{"Feedback", "Satisfaction"} {
		d = d.AppendExtension([]byte(name), fmt.Appendf(nil, `[{"rating":%d,"notes":%q,"place":%q},{"rating":%d,"notes":%q}]`,
			t.random.IntN(10), word(), word(), t.random.IntN(10), word()))
	}
	return d
}

// next is the next customer, and the records of its composite start.
func (t *traffic) next() (conversation.Owner, []conversation.Record) {
	t.n++
	id := conversation.ServiceID(t.n)
	at := conversation.UnixEpoch + conversation.Instant(t.n)
	return conversation.Owner{Key: fmt.Sprint("customer ", t.n)}, []conversation.Record{
		{Kind: conversation.ServiceStarted, Service: id, At: at, Shown: at, Type: conversation.String("MyService1"), Details: t.details()},
		{Kind: conversation.StateStarted, Service: id, ID: 1, At: at, Shown: at, Type: conversation.String("MyState1"), Details: t.details()},
		{Kind: conversation.TaskStarted, Service: id, ID: 2, Ref: 1, At: at, Shown: at, Type: conversation.String("MyTask1"), Details: t.details()},
	}
}

// many are so many composite starts, made before anything is measured.
func many(n int) (owners []conversation.Owner, records [][]conversation.Record) {
	t := newTraffic()
	for range n {
		o, r := t.next()
		owners, records = append(owners, o), append(records, r)
	}
	return owners, records
}

// Putting a composite start's records into the journal, without waiting for the disk.
func BenchmarkAppend(b *testing.B) {
	o := testOptions(vfs.NewMem())
	o.TailBytes = 1 << 40
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	owners, records := many(1000)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		s.Append(nil, owners[n%len(owners)], records[n%len(owners)])
		if n%1000 == 999 { // the frames are not to pile up
			if err := s.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A frame of thirteen composite starts, and of two hundred, as they come with 64 and more
// callers: encoded and packed. It tells how well they pack.
func BenchmarkFrame(b *testing.B) {
	for _, messages := range []int{13, 200} {
		b.Run(fmt.Sprint(messages), func(b *testing.B) {
			owners, records := many(messages)
			var groups, value []byte
			b.ReportAllocs()
			for b.Loop() {
				groups = groups[:0]
				for i := range owners {
					groups = appendGroup(groups, owners[i], records[i])
				}
				value = appendFrame(value[:0], frameHeader{last: uint64(3 * messages)}, groups)
			}
			b.SetBytes(int64(len(groups)))
			b.ReportMetric(float64(len(groups))/float64(len(value)), "packed")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/message")
		})
	}
}

// The row of a service, as it is made when rows are written.
func BenchmarkRow(b *testing.B) {
	o, records := newTraffic().next()
	c := conversation.Customer{Owner: o}
	for i := range records {
		c.Apply(&records[i])
	}
	b.ReportAllocs()
	for b.Loop() {
		encodeRow(c.Services()[0], 3)
	}
}

// inRows is a folder in which so many customers have their rows.
func inRows(b *testing.B, customers int) *Store {
	o := testOptions(nil)
	o.Dir, o.CacheBytes = b.TempDir(), 64<<20
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	traffic := newTraffic()
	for range customers {
		owner, records := traffic.next()
		c := conversation.Customer{Owner: owner}
		for i := range records {
			c.Apply(&records[i])
		}
		u, last := s.Append(nil, owner, records)
		s.WriteRows(u, s.AppendRows(nil, u, owner, c.Services()[0], last))
	}
	if err := s.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}

// Waking a customer beside fifty thousand: one never seen, and one with a row.
func BenchmarkWake(b *testing.B) {
	const customers = 50_000
	s := inRows(b, customers)
	defer s.Close()
	wake := func(b *testing.B, name string, services int) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			c := conversation.Customer{Owner: conversation.Owner{Key: fmt.Sprint(name, 1+n%customers)}}
			if _, _, err := s.Load(&c, nil); err != nil || len(c.Services()) != services {
				b.Fatal(len(c.Services()), err)
			}
		}
	}
	b.Run("unknown", func(b *testing.B) { wake(b, "stranger ", 0) })
	b.Run("known", func(b *testing.B) { wake(b, "customer ", 1) })
}

// Opening a folder whose journal's tail has fifty thousand composite starts.
func BenchmarkRecover(b *testing.B) {
	const messages = 50_000
	disk, traffic := vfs.NewCrashableMem(), newTraffic()
	s, err := Open(testOptions(disk))
	if err != nil {
		b.Fatal(err)
	}
	for range messages {
		owner, records := traffic.next()
		s.Append(nil, owner, records)
	}
	if err := s.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	crashed := disk.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		again := crashed.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		b.StartTimer()
		s, err := Open(testOptions(again))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/message")
}
