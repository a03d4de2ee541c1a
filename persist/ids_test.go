package persist

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// partitionOf is where the hash of an owner puts its services.
func partitionOf(o conversation.Owner) int64 { return int64(Hash(o) >> (64 - partitionBits)) }

// An id is positive, below 2^53, carries its owner's partition, and never comes again once a
// record that holds it is on disk, whatever crashed, was deleted or was never used in between.
func TestServiceIDs(t *testing.T) {
	r := newRandom(t)
	fs := vfs.NewCrashableMem()
	onDisk := make(map[conversation.ServiceID]bool)
	owners := []conversation.Owner{alice, bob, carol, {}}
	for range 30 {
		s := openStore(t, testOptions(fs))
		sinceOpen := make(map[conversation.ServiceID]bool)
		residents := make([]*resident, len(owners))
		for i, o := range owners {
			residents[i] = wake(t, s, o)
		}
		for range r.IntN(50) {
			i := r.IntN(len(owners))
			var id conversation.ServiceID
			used := r.IntN(3) > 0
			if used {
				id = residents[i].start(t, nil)
			} else {
				id = s.NewServiceID(owners[i])
			}
			if id <= 0 || id >= 1<<53 || int64(id)%partitions != partitionOf(owners[i]) {
				t.Fatalf("%v of partition %d gets the id %d", owners[i], partitionOf(owners[i]), id)
			}
			if onDisk[id] || sinceOpen[id] {
				t.Fatalf("the id %d was given before", id)
			}
			sinceOpen[id] = true
			switch r.IntN(6) {
			case 0: // everything given so far is behind what is on disk
				if used {
					waitFor(t, s, residents[i].watermark)
					for id := range sinceOpen {
						onDisk[id] = true
					}
				}
			case 1:
				residents[i].writeRows()
			case 2: // so that the mark alone knows
				for _, r := range residents {
					r.writeRows()
				}
			}
		}
		if r.IntN(3) == 0 {
			closeStore(t, s) // which writes what was appended
			continue
		}
		clone := fs.CrashClone(vfs.CrashCloneCfg{})
		closeStore(t, s)
		fs = clone
	}
}

// The bound that a frame carries is past every id in it, over the end of a block too.
func TestServiceIDBlocks(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, testOptions(fs))
	last := s.NewServiceID(alice)
	for range 2*idBlock + 5 {
		id := s.NewServiceID(alice)
		if id != last+partitions {
			t.Fatalf("the id %d follows %d", id, last)
		}
		last = id
	}
	r := wake(t, s, alice)
	last = r.start(t, nil)
	closeStore(t, s)
	s = openStore(t, testOptions(fs))
	if id := s.NewServiceID(alice); id <= last || int64(id>>partitionBits) != 3*idBlock+1 {
		t.Errorf("the id %d (counter %d) follows %d (counter %d)", id, id>>partitionBits, last, last>>partitionBits)
	}
	closeStore(t, s)
}

// Many ask at once, over the end of a block, and no two get the same.
func TestServiceIDsTogether(t *testing.T) {
	s := openStore(t, testOptions(vfs.NewMem()))
	s.startCounters(idBlock - 500)
	given := make([][]conversation.ServiceID, 4)
	var all sync.WaitGroup
	for i := range given {
		all.Go(func() {
			for range 500 {
				given[i] = append(given[i], s.NewServiceID(alice))
			}
		})
	}
	all.Wait()
	seen := make(map[conversation.ServiceID]bool)
	for _, ids := range given {
		for _, id := range ids {
			if seen[id] {
				t.Fatalf("the id %d was given twice", id)
			}
			if uint64(id>>partitionBits) > s.reserved.Load() {
				t.Fatalf("the id %d is past what is reserved, %d", id, s.reserved.Load())
			}
			seen[id] = true
		}
	}
	closeStore(t, s)
}

// The last id of a partition is below 2^53; after it there is none, and no wrong one.
func TestServiceIDsEnd(t *testing.T) {
	s := openStore(t, testOptions(vfs.NewMem()))
	s.startCounters(1<<(53-partitionBits) - 2)
	if id := s.NewServiceID(alice); id > maxServiceID || id+partitions <= maxServiceID {
		t.Errorf("the last id is %d", id)
	}
	defer closeStore(t, s)
	defer func() {
		if recover() == nil {
			t.Error("there is one more")
		}
	}()
	s.NewServiceID(alice)
}
