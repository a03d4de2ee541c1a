package persist

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

func randomText(r *rand.Rand) string {
	return []string{"", "5", "card", "größe", "\x00\xff", "a contact key of some length, 0123456789"}[r.IntN(6)]
}

func randomOwner(r *rand.Rand) conversation.Owner {
	return conversation.Owner{Tenant: randomText(r), Key: randomText(r), Anonymous: r.IntN(2) == 0}
}

func randomInstant(r *rand.Rand) conversation.Instant {
	return []conversation.Instant{0, 1, conversation.UnixEpoch, math.MaxInt64, -1, math.MinInt64}[r.IntN(6)]
}

func randomDetails(r *rand.Rand) (d conversation.Details) {
	for range r.IntN(4) {
		d = d.AppendField(conversation.SessionID, []byte(randomText(r)))
		d = d.AppendExtension([]byte(randomText(r)), []byte(randomText(r)))
	}
	return d
}

func randomRecord(r *rand.Rand) conversation.Record {
	return conversation.Record{
		Kind:    conversation.ServiceStarted + conversation.Kind(r.IntN(13)),
		Service: []conversation.ServiceID{1, 4096, maxServiceID}[r.IntN(3)],
		ID:      []int32{0, 1, math.MaxInt32}[r.IntN(3)], Ref: []int32{0, 1, math.MaxInt32}[r.IntN(3)],
		At: randomInstant(r), Shown: randomInstant(r),
		Type:       []conversation.Value{{}, conversation.String(randomText(r)), conversation.Integer(-5)}[r.IntN(3)],
		ContactKey: randomText(r), AutoCompleteAfter: []int64{0, 1, math.MaxInt64}[r.IntN(3)], Expires: randomInstant(r),
		Details: randomDetails(r),
	}
}

// randomService has states and tasks, ended and not, before and after its own end.
func randomService(r *rand.Rand, o conversation.Owner, id conversation.ServiceID) *conversation.Service {
	c := conversation.Customer{Owner: o}
	kind := conversation.ServiceStarted
	for n := range int32(1 + r.IntN(12)) {
		rec := randomRecord(r)
		rec.Kind, rec.Service, rec.ID = kind, id, n
		rec.At = max(rec.At, 0) // the server's time: after the year 1
		if rec.Kind == conversation.StateEnded || rec.Kind == conversation.TaskEnded {
			rec.ID = int32(r.IntN(int(n)))
		}
		if c.Fits(&rec) {
			c.Apply(&rec)
		}
		kind = conversation.StateStarted + conversation.Kind(r.IntN(5))
	}
	return c.Service(id)
}

func decodeRecord(b []byte) (rec conversation.Record, rest []byte, err error) {
	r := reader{b: b}
	r.record(&rec)
	return rec, r.b, r.err
}

// A record of any content comes back as it was, and one cut anywhere is an error.
func TestRecord(t *testing.T) {
	r := newRandom(t)
	for range 2000 {
		want := randomRecord(r)
		b := appendRecord(nil, &want)
		got, rest, err := decodeRecord(append(b[:len(b):len(b)], "next"...))
		if err != nil || string(rest) != "next" || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\ncame back as %+v\nbefore %q, %v", want, got, rest, err)
		}
		for cut := range b {
			if got, _, err := decodeRecord(b[:cut]); err == nil {
				t.Fatalf("%x cut to %d of %d bytes reads as %+v", b, cut, len(b), got)
			}
		}
	}
}

// A record that could not have been written is refused before anything trusts it.
func TestRecordChecked(t *testing.T) {
	good := conversation.Record{Kind: conversation.StateStarted, Service: 1, ID: 1}
	for name, change := range map[string]func(r *conversation.Record){
		"no kind":        func(r *conversation.Record) { r.Kind = 0 },
		"a later kind":   func(r *conversation.Record) { r.Kind = conversation.TaskExtended + 1 },
		"no service":     func(r *conversation.Record) { r.Service = 0 },
		"a high service": func(r *conversation.Record) { r.Service = maxServiceID + 1 },
		"a negative id":  func(r *conversation.Record) { r.ID = -1 },
		"a negative ref": func(r *conversation.Record) { r.Ref = math.MinInt32 },
		"torn details":   func(r *conversation.Record) { r.Details = conversation.Details{1, 5, '1'} },
		"unknown field":  func(r *conversation.Record) { r.Details = conversation.Details{99, 1, '1'} },
	} {
		rec := good
		change(&rec)
		if _, _, err := decodeRecord(appendRecord(nil, &rec)); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
	if _, _, err := decodeRecord(appendRecord(nil, &good)); err != nil {
		t.Error(err)
	}
}

// readGroups unpacks a frame wholly, as opening the store does.
func readGroups(first uint64, value []byte) (h frameHeader, groups []unpackedGroup, err error) {
	h, raw, err := readFrame(value, nil)
	if err != nil {
		return h, nil, err
	}
	err = eachGroup(first, h, raw, func(g *group, _ int) error {
		read := unpackedGroup{owner: g.owner}
		err := g.eachRecord(func(_ uint64, r *conversation.Record) error {
			read.records = append(read.records, *r)
			return nil
		})
		groups = append(groups, read)
		return err
	})
	return h, groups, err
}

type unpackedGroup struct {
	owner   conversation.Owner
	records []conversation.Record
}

// randomFrame is a frame from record first on.
func randomFrame(r *rand.Rand, first uint64) (value, raw []byte, h frameHeader, groups []unpackedGroup) {
	h = frameHeader{last: first - 1, reserved: r.Uint64N(1 << 41)}
	for range 1 + r.IntN(4) {
		g := unpackedGroup{owner: randomOwner(r)}
		for range 1 + r.IntN(3) {
			g.records = append(g.records, randomRecord(r))
		}
		h.last += uint64(len(g.records))
		raw = appendGroup(raw, g.owner, g.records)
		groups = append(groups, g)
	}
	return appendFrame(nil, h, raw), raw, h, groups
}

// A frame comes back as it was. One cut anywhere is an error, packed or unpacked, and so is one
// that holds more or fewer records than its header says.
func TestFrame(t *testing.T) {
	r := newRandom(t)
	for range 100 {
		first := 1 + r.Uint64N(1<<40)
		value, raw, h, want := randomFrame(r, first)
		gotHeader, got, err := readGroups(first, value)
		if err != nil || gotHeader != h || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v %+v\ncame back as %+v %+v, %v", h, want, gotHeader, got, err)
		}
		for cut := range value {
			if _, _, err := readGroups(first, value[:cut]); err == nil {
				t.Fatalf("%x cut to %d of %d bytes passes", value, cut, len(value))
			}
		}
		for cut := range raw {
			if _, _, err := readGroups(first, appendFrame(nil, h, raw[:cut])); err == nil {
				t.Fatalf("%x cut to %d of %d bytes and packed passes", raw, cut, len(raw))
			}
		}
		for _, wrong := range []frameHeader{{last: h.last - 1}, {last: h.last + 1}} {
			if _, _, err := readGroups(first, appendFrame(nil, wrong, raw)); err == nil {
				t.Fatalf("a frame of records %d to %d passes as one to %d", first, h.last, wrong.last)
			}
		}
		longer := append(bytes.Clone(raw), 0) // a byte too many within the last group
		at := len(raw) - len(appendGroup(nil, want[len(want)-1].owner, want[len(want)-1].records))
		binary.LittleEndian.PutUint32(longer[at:], uint32(len(longer)-at-4))
		if _, _, err := readGroups(first, appendFrame(nil, h, longer)); err == nil {
			t.Fatalf("%x with a byte too many passes", raw)
		}
		value[0]++
		if _, _, err := readFrame(value, nil); err == nil {
			t.Fatal("a frame of the next version passes")
		}
	}
}

// A row of any service makes it again, short ones plain and long ones packed. One cut anywhere
// is an error, and so is one under another id.
func TestRow(t *testing.T) {
	r := newRandom(t)
	var codecs [2]int
	for range 300 {
		owner, id, last := randomOwner(r), conversation.ServiceID(1+r.Int64N(maxServiceID)), r.Uint64()
		want := randomService(r, owner, id)
		value := encodeRow(want, last)
		codecs[value[1]]++
		got, gotLast, err := new(Store).decodeRow(owner, id, value)
		if err != nil || gotLast != last || !sameService(got, want) {
			t.Fatalf("%+v\ncame back as %+v, up to record %d for %d, %v", want, got, gotLast, last, err)
		}
		if got.Changed || !got.Written {
			t.Fatalf("a service from its row: changed %v, written %v", got.Changed, got.Written)
		}
		for cut := range value {
			if _, _, err := new(Store).decodeRow(owner, id, value[:cut]); err == nil {
				t.Fatalf("%x cut to %d of %d bytes passes", value, cut, len(value))
			}
		}
		if _, _, err := new(Store).decodeRow(owner, id-1, value); err == nil {
			t.Fatal("the row of another service passes")
		}
	}
	if codecs[plainRow] == 0 || codecs[packedRow] == 0 {
		t.Errorf("%d plain and %d packed rows", codecs[plainRow], codecs[packedRow])
	}
}

// What is decoded keeps nothing of the bytes it came from: Pebble uses them again.
func TestRowOwnsItsBytes(t *testing.T) {
	r := newRandom(t)
	for range 50 {
		owner := randomOwner(r)
		want := randomService(r, owner, 1)
		value := encodeRow(want, 1)
		got, _, err := new(Store).decodeRow(owner, 1, value)
		if err != nil {
			t.Fatal(err)
		}
		for i := range value {
			value[i] = 0xff
		}
		if !sameService(got, want) {
			t.Fatalf("%+v became %+v when its row's bytes changed", want, got)
		}
	}
}

// The mark comes back, whole only.
func TestMark(t *testing.T) {
	r := newRandom(t)
	for range 100 {
		want := mark{first: r.Uint64(), reserved: r.Uint64N(1 << 41)}
		b := encodeMark(want)
		if got, err := decodeMark(b); err != nil || got != want {
			t.Fatalf("%+v came back as %+v, %v", want, got, err)
		}
		for cut := range b {
			if _, err := decodeMark(b[:cut]); err == nil {
				t.Fatalf("%x cut to %d bytes passes", b, cut)
			}
		}
		if _, err := decodeMark(append(b, 0)); err == nil {
			t.Fatal("a mark with a byte too many passes")
		}
	}
}

// A few bytes that claim to unpack to more than is ever written are an error, not an
// allocation.
func TestClaimedLength(t *testing.T) {
	claim := []byte{0xff, 0xff, 0xff, 0xff, 0x0f} // an s2 block of 2^32-1 bytes
	if n, err := s2.DecodedLen(claim); err == nil && n <= maxRowRaw {
		t.Fatalf("the claim is only %d bytes", n)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := readFrame(append([]byte{formatVersion, 1, 1}, claim...), nil); err == nil {
		t.Error("such a frame passes")
	}
	if _, _, err := new(Store).decodeRow(conversation.Owner{}, 1, append([]byte{formatVersion, packedRow, 1}, claim...)); err == nil {
		t.Error("such a row passes")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// tooLarge leaves out what claims more memory than a fuzzing worker should touch; below the
// bounds, which TestClaimedLength shows, what is claimed is allocated.
func tooLarge(block []byte) bool {
	n, err := s2.DecodedLen(block)
	return err == nil && n > 1<<20
}

// Whatever the bytes are, reading a record says yes or no; what was read is written and read
// again as the same.
func FuzzRecord(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		rec := randomRecord(r)
		f.Add(appendRecord(nil, &rec))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, _, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, rest, err := decodeRecord(appendRecord(nil, &rec))
		if err != nil || len(rest) != 0 || !reflect.DeepEqual(again, rec) {
			t.Fatalf("%+v\nis read again as %+v, %d bytes left, %v", rec, again, len(rest), err)
		}
	})
}

// Whatever the bytes are, reading a frame says yes or no, both as they are and packed.
func FuzzFrame(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		value, raw, h, _ := randomFrame(r, 1)
		f.Add(uint64(1), h.last, value)
		f.Add(uint64(1), h.last, raw)
	}
	f.Add(uint64(math.MaxUint64), uint64(0), []byte{4, 0, 0, 0, 'c', 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, first, last uint64, b []byte) {
		if len(b) > 3 && !tooLarge(b[3:]) {
			_, _, _ = readGroups(first, b)
		}
		h := frameHeader{last: last}
		value := appendFrame(nil, h, b)
		got, raw, err := readFrame(value, nil)
		if err != nil || got != h || !bytes.Equal(raw, b) {
			t.Fatalf("%x packed comes back as %x, %v", b, raw, err)
		}
		_, groups, err := readGroups(first, value)
		if err != nil {
			return
		}
		n := uint64(0)
		for _, g := range groups {
			n += uint64(len(g.records))
		}
		if first+n != last+1 {
			t.Fatalf("%d records from %d on pass as those to %d", n, first, last)
		}
	})
}

// Whatever the bytes are, reading a row says yes or no, plain and packed; a service that was
// read is written and read again as the same.
func FuzzRow(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	owner := conversation.Owner{Key: "alice"}
	for range 20 {
		f.Add(encodeRow(randomService(r, owner, 1), 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		header := []byte{formatVersion, packedRow, 1}
		for _, value := range [][]byte{b, s2.Encode(nil, b)} {
			if len(value) != len(b) || !bytes.Equal(value, b) {
				value = append(header, value...)
			}
			if len(value) > 3 && tooLarge(value[3:]) {
				continue
			}
			s, last, err := new(Store).decodeRow(owner, 1, value)
			if err != nil || s.Updated < 0 { // the server's time is after the year 1
				continue
			}
			again, gotLast, err := new(Store).decodeRow(owner, 1, encodeRow(s, last))
			if err != nil || gotLast != last || !sameService(again, s) {
				t.Fatalf("%+v\nis read again as %+v, %v", s, again, err)
			}
		}
	})
}
