package persist

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The golden files hold bytes as they stand in data folders. What a test reads from them must
// stay what it was for as long as their version can be opened; go test -update writes them
// anew, and such a diff is a new version.

var (
	goldenOwner     = conversation.Owner{Key: "alice"}
	goldenAnonymous = conversation.Owner{Tenant: "north", Key: "+49 30 555", Anonymous: true}
	goldenAt        = conversation.UnixEpoch + 1_463_584_979_123
)

// goldenRecords have every kind and every flag, and between them none.
func goldenRecords() []conversation.Record {
	const service = 0x1_0abc
	return []conversation.Record{
		{
			Kind: conversation.ServiceStarted, Service: service, At: goldenAt, Shown: goldenAt - 1000, Type: conversation.String("renew card"),
			ContactKey: "+49 30 555", AutoCompleteAfter: 3600, Expires: goldenAt + 86_400_000,
			Details: conversation.Details(nil).AppendField(conversation.SessionID, []byte(`"s-1"`)).AppendExtension([]byte("größe"), []byte("1.10")),
		},
		{Kind: conversation.StateStarted, Service: service, ID: 1, At: goldenAt, Shown: goldenAt, Type: conversation.Integer(-5)},
		{Kind: conversation.StateStarted, Service: service, ID: 2, Ref: 1, At: goldenAt, Shown: goldenAt},
		{Kind: conversation.TaskStarted, Service: service, ID: 3, Ref: 2, At: goldenAt, Shown: goldenAt, Type: conversation.String("")},
		{
			Kind: conversation.TaskEnded, Service: service, ID: 3, At: goldenAt + 1, Shown: goldenAt + 1,
			Details: conversation.Details(nil).AppendField(conversation.Disposition, []byte("7")),
		},
		{Kind: conversation.StateEnded, Service: service, ID: 1, At: goldenAt + 2, Shown: 1},
		{Kind: conversation.ServiceEnded, Service: service, At: goldenAt + 3, Shown: goldenAt + 3},
	}
}

// goldenChanges are the kinds of what changes a service later.
func goldenChanges() []conversation.Record {
	const service = 0x1_0abc
	extension := conversation.Details(nil).AppendExtension([]byte("größe"), []byte(`{"a":1.10}`))
	return []conversation.Record{
		{Kind: conversation.ServiceFound, Service: service, At: goldenAt, Shown: goldenAt},
		{Kind: conversation.ServiceExpires, Service: service, At: goldenAt, Shown: goldenAt, Expires: goldenAt + 1},
		{Kind: conversation.ServiceExtended, Service: service, At: goldenAt, Shown: goldenAt, Details: extension},
		{Kind: conversation.StateExtended, Service: service, ID: 1, At: goldenAt, Shown: goldenAt, Details: extension},
		{Kind: conversation.TaskExtended, Service: service, ID: 3, At: goldenAt, Shown: goldenAt, Details: extension},
		{Kind: conversation.ServiceLeft, Service: service, At: goldenAt, Shown: goldenAt},
		{Kind: conversation.ServiceDeleted, Service: service, At: goldenAt, Shown: goldenAt},
	}
}

// goldenService is what the first n of the golden records make.
func goldenService(n int, details conversation.Details) *conversation.Service {
	c := conversation.Customer{Owner: goldenOwner}
	records := goldenRecords()[:n]
	records[0].Details = append(details, records[0].Details...)
	for i := range records {
		c.Apply(&records[i])
	}
	return c.Services()[0]
}

// golden compares bytes with those of a file, and gives back those of the file.
func golden(t *testing.T, name, what string, now []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		text := "# " + what + "\n"
		for line := now; len(line) > 0; line = line[min(32, len(line)):] {
			text += hex.EncodeToString(line[:min(32, len(line))]) + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, digits, _ := strings.Cut(string(text), "\n")
	b, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

// goldenText does the same with a file that is text itself.
func goldenText(t *testing.T, name, now string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != now {
		t.Errorf("%s says\n%s\nand now it would be\n%s", path, text, now)
	}
}

// An old frame stays readable, and today's have the same bytes once unpacked: how s2 packs may
// differ between its versions and machines.
func TestGoldenFrame(t *testing.T) {
	records := goldenRecords()
	h := frameHeader{last: 1000 + 14, reserved: idBlock}
	want := []unpackedGroup{{goldenOwner, records}, {goldenAnonymous, records[:1]}, {goldenOwner, goldenChanges()}}
	var raw []byte
	for _, g := range want {
		raw = appendGroup(raw, g.owner, g.records)
	}
	b := golden(t, "frame.hex", "a frame: records 1000 to 1014, in groups of seven, one and seven", appendFrame(nil, h, raw))
	gotHeader, got, err := readGroups(1000, b)
	if err != nil || gotHeader != h || !reflect.DeepEqual(got, want) {
		t.Errorf("reads as %+v %+v, %v", gotHeader, got, err)
	}
	_, unpacked, _ := readFrame(b, nil)
	oldRaw := golden(t, "groups.hex", "the groups of frame.hex, unpacked", raw)
	if !bytes.Equal(unpacked, raw) || !bytes.Equal(oldRaw, raw) {
		t.Errorf("unpacked\n%x\nwhich would now be\n%x\nand was\n%x", unpacked, raw, oldRaw)
	}
}

// Old rows stay readable, plain, packed and completed; plain ones have the same bytes today.
func TestGoldenRows(t *testing.T) {
	long := conversation.Details(nil).AppendExtension([]byte("long"), bytes.Repeat([]byte("0123456789"), 100))
	for _, test := range []struct {
		file, what string
		service    *conversation.Service
		codec      byte
	}{
		{"row_plain.hex", "the row of an active service", goldenService(4, nil), plainRow},
		{"row_packed.hex", "the row of an active service with a long extension", goldenService(4, long), packedRow},
		{"row_completed.hex", "the row of a completed service", goldenService(7, nil), plainRow},
	} {
		now := encodeRow(test.service, 1007)
		b := golden(t, test.file, test.what+", up to record 1007", now)
		got, last, err := new(Store).decodeRow(goldenOwner, test.service.ID, b)
		if err != nil || last != 1007 || !sameService(got, test.service) {
			t.Errorf("%s reads as %+v, up to record %d, %v", test.file, got, last, err)
		}
		if b[1] != test.codec || now[1] != test.codec {
			t.Errorf("%s: codec %d, now %d, should be %d", test.file, b[1], now[1], test.codec)
		}
		if test.codec == plainRow && !bytes.Equal(b, now) {
			t.Errorf("%s: is %x, now %x", test.file, b, now)
		}
	}
}

// Old rows that lead to a group, index rows, marks, timers and segments stay readable and are
// written so today.
func TestGoldenSmallValues(t *testing.T) {
	ref := groupRef{frame: 1000, at: 4096, bytes: 2345}
	lead := golden(t, "row_lead.hex", "the row of a service that leads to 2345 bytes from byte 4096 of the frame of record 1000, up to record 1007", encodeLead(ref, 1007))
	r := reader{b: lead}
	codec, last, err := r.rowHeader()
	if got, failed := r.lead(); errors.Join(err, failed) != nil || codec != leadRow || last != 1007 || got != ref || !bytes.Equal(lead, encodeLead(ref, 1007)) {
		t.Errorf("the row reads as codec %d, %+v, up to record %d, %v", codec, got, last, errors.Join(err, failed))
	}
	seg := segment{raw: 400_000, used: 100_000}
	if got, err := decodeSegment(golden(t, "segment.hex", "a segment of 400,000 bytes, 100,000 of them in use", encodeSegment(seg))); err != nil || got != seg {
		t.Errorf("the segment reads as %+v, %v", got, err)
	}
	for _, test := range []struct {
		file string
		want conversation.Owner
	}{{"index_customer.hex", goldenOwner}, {"index_anonymous.hex", goldenAnonymous}} {
		now := appendOwner(nil, test.want)
		b := golden(t, test.file, "the index row of a service of "+test.want.String(), now)
		if got, rest, err := readOwner(b); err != nil || len(rest) != 0 || got != test.want || !bytes.Equal(b, now) {
			t.Errorf("%s reads as %+v, %d bytes left, %v; now %x", test.file, got, len(rest), err, now)
		}
	}
	timers := conversation.Timers{AutoCompleteAfter: 3_600_000, ExpireAfter: 86_400_000}
	b := golden(t, "timers.hex", "the timers: an hour, a day", encodeTimers(timers))
	if got, err := decodeTimers(b); err != nil || got != timers || !bytes.Equal(b, encodeTimers(timers)) {
		t.Errorf("the timers read as %+v, %v; now %x", got, err, encodeTimers(timers))
	}
	want := mark{first: 1000, reserved: 2 * idBlock}
	b = golden(t, "mark.hex", "the mark of a journal that begins with record 1000", encodeMark(want))
	if got, err := decodeMark(b); err != nil || got != want || !bytes.Equal(b, encodeMark(want)) {
		t.Errorf("the mark reads as %+v, %v; now %x", got, err, encodeMark(want))
	}
}

// Keys, and their prefixes for the bloom filters, never change.
func TestGoldenKeys(t *testing.T) {
	var text strings.Builder
	split := comparer().Split
	for _, k := range []struct {
		name string
		key  []byte
	}{
		{"frame 1", frameKey(1)},
		{"frame 2^40", frameKey(1 << 40)},
		{"mark", markKey},
		{"active 4096 of alice", serviceKey(goldenOwner, activePhase, 4096)},
		{"completed 4096 of alice", serviceKey(goldenOwner, completedPhase, 4096)},
		{"active 4096 of +49 30 555, north", serviceKey(goldenAnonymous, activePhase, 4096)},
		{"index 2^53-1", indexKey(maxServiceID)},
		{"due 4096", dueKey(goldenAt, 4096)},
		{"timers", timersKey},
		{"segment 7", segmentKey(7)},
	} {
		n := split(k.key)
		fmt.Fprintf(&text, "%-34s%x|%x\n", k.name, k.key[:n], k.key[n:])
	}
	goldenText(t, "keys.txt", text.String())
}

// An owner's hash and its partition never change: service ids carry it.
func TestGoldenHash(t *testing.T) {
	var text strings.Builder
	for _, o := range []conversation.Owner{
		{}, goldenOwner, {Key: "alice", Anonymous: true}, {Tenant: "north", Key: "alice"}, goldenAnonymous,
		{Key: "größe"}, {Key: strings.Repeat("x", 256)},
	} {
		name := o.Key
		if len(name) > 20 {
			name = fmt.Sprintf("%s * %d", name[:1], len(name))
		}
		fmt.Fprintf(&text, "%-10q%-14q anonymous=%-6v%016x partition %d\n", o.Tenant, name, o.Anonymous, Hash(o), Hash(o)>>(64-partitionBits))
	}
	goldenText(t, "hash.txt", text.String())
}

// The first thing that is written to a folder says what the folder is.
func TestGoldenFormat(t *testing.T) {
	fs := vfs.NewMem()
	closeStore(t, openStore(t, testOptions(fs)))
	goldenText(t, "FORMAT", readAll(t, fs, "data/FORMAT"))
}
