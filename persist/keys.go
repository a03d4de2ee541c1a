package persist

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The first byte of every key. doc.go has the table.
const (
	frameTag    = 0x01
	markTag     = 0x02
	timersTag   = 0x03
	segmentTag  = 0x04
	customerTag = 0x10
	indexTag    = 0x20
	dueTag      = 0x30
)

// The byte between owner and service id in a customer's rows: active ones stand first, so
// that waking a customer is one short scan.
const (
	activePhase    = 0x00
	completedPhase = 0x01
)

var (
	markKey   = []byte{markTag}
	timersKey = []byte{timersTag}
)

// MaxKeyBytes bounds an owner's key on disk, whatever the configured bound: its length
// stands in two bytes. MaxTenantBytes likewise, in one.
const (
	MaxKeyBytes    = 1<<16 - 1
	MaxTenantBytes = 1<<8 - 1
)

func frameKey(first uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{frameTag}, first)
}

func segmentKey(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{segmentTag}, n)
}

func indexKey(id conversation.ServiceID) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 1+8), indexTag), uint64(id))
}

// dueKey orders by the instant, so that what is due first stands first.
func dueKey(at conversation.Instant, id conversation.ServiceID) []byte {
	key := binary.BigEndian.AppendUint64([]byte{dueTag}, uint64(at))
	return binary.BigEndian.AppendUint64(key, uint64(id))
}

// customerPrefix is what all rows of an owner's services in one phase begin with.
func customerPrefix(o conversation.Owner, phase byte) []byte {
	key := make([]byte, 0, 1+ownerSize(o)+1+8)
	key = append(key, customerTag)
	key = appendOwner(key, o)
	return append(key, phase)
}

func serviceKey(o conversation.Owner, phase byte, id conversation.ServiceID) []byte {
	return binary.BigEndian.AppendUint64(customerPrefix(o, phase), uint64(id))
}

// serviceOf is the id at the end of a service's key.
func serviceOf(key []byte) conversation.ServiceID {
	return conversation.ServiceID(binary.BigEndian.Uint64(key[len(key)-8:]))
}

func ownerSize(o conversation.Owner) int { return 1 + 1 + len(o.Tenant) + 2 + len(o.Key) }

// appendOwner writes an owner so that no owner's bytes are the beginning of another's: both
// its parts carry their lengths.
func appendOwner(to []byte, o conversation.Owner) []byte {
	kind := byte('c')
	if o.Anonymous {
		kind = 'a'
	}
	if len(o.Tenant) > MaxTenantBytes || len(o.Key) > MaxKeyBytes {
		panic(fmt.Sprintf("persist: owner of %d + %d bytes", len(o.Tenant), len(o.Key)))
	}
	to = append(to, kind, byte(len(o.Tenant)))
	to = append(to, o.Tenant...)
	to = binary.BigEndian.AppendUint16(to, uint16(len(o.Key)))
	return append(to, o.Key...)
}

// ownerBytes tells how many bytes the owner at the start of b takes; 0 when it is not whole.
func ownerBytes(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	at := 2 + int(b[1])
	if len(b) < at+2 {
		return 0
	}
	at += 2 + int(binary.BigEndian.Uint16(b[at:]))
	if len(b) < at {
		return 0
	}
	return at
}

func readOwner(b []byte) (conversation.Owner, []byte, error) {
	n := ownerBytes(b)
	if n == 0 || b[0] != 'c' && b[0] != 'a' {
		return conversation.Owner{}, nil, fmt.Errorf("owner is not whole")
	}
	tenant := int(b[1])
	return conversation.Owner{
		Tenant:    string(b[2 : 2+tenant]),
		Key:       string(b[2+tenant+2 : n]),
		Anonymous: b[0] == 'a',
	}, b[n:], nil
}

// comparer orders keys by their bytes. Its Split puts all rows of one customer under one
// prefix, for which the tables' bloom filters answer: a customer never seen costs no read.
// Name and order stand on disk and never change.
func comparer() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "switchboard.keys.v1"
	c.Split = func(key []byte) int {
		if len(key) > 0 && key[0] == customerTag {
			if n := ownerBytes(key[1:]); n > 0 {
				return 1 + n
			}
		}
		return len(key)
	}
	// A shortened key would no longer split where its rows do.
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	c.ImmediateSuccessor = func(dst, prefix []byte) []byte { return append(append(dst, prefix...), 0) }
	return &c
}

// partitionBits is how much of a service id is its logical partition.
const partitionBits = 12

// Hash spreads owners: XXH64 of tenant, a zero byte, 'c' or 'a', and the key. Its top twelve
// bits are the owner's logical partition, which every service id carries; it never changes.
func Hash(o conversation.Owner) uint64 {
	var d xxhash.Digest
	d.Reset()
	kind := "\x00c"
	if o.Anonymous {
		kind = "\x00a"
	}
	_, _ = d.WriteString(o.Tenant)
	_, _ = d.WriteString(kind)
	_, _ = d.WriteString(o.Key)
	return d.Sum64()
}
