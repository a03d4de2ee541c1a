package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// Scan walks over the ids of all services, in their order. Ids never change, whomever a service
// goes to: so each that is there from the beginning to the end comes exactly once. It opens a
// view of the store for each step only, so that no walk holds up a compaction or keeps
// deleted frames on disk.
type Scan struct {
	store     *Store
	unindexed []conversation.ServiceID // those without an index row when it began, in order
	after     conversation.ServiceID
}

// NewScan begins a walk. It notes the services that only the tail tells of, eight bytes each:
// their number is bounded as the tail is.
func (s *Store) NewScan() *Scan {
	s.mu.Lock()
	ids := make([]conversation.ServiceID, 0, len(s.owners))
	for id := range s.owners {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	slices.Sort(ids)
	return &Scan{store: s, unindexed: ids}
}

// Next gives the next ids, at most limit; none at the end.
func (c *Scan) Next(limit int) ([]conversation.ServiceID, error) {
	iter, err := c.store.db.NewIter(&pebble.IterOptions{LowerBound: indexKey(c.after + 1), UpperBound: []byte{indexTag + 1}})
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	var ids []conversation.ServiceID
	indexed := iter.First()
	for len(ids) < limit && (indexed || len(c.unindexed) > 0) {
		switch {
		case !indexed:
			c.after, c.unindexed = c.unindexed[0], c.unindexed[1:]
		case len(c.unindexed) == 0 || indexedID(iter) < c.unindexed[0]:
			c.after = indexedID(iter)
			indexed = iter.Next()
		default:
			if indexedID(iter) == c.unindexed[0] { // it has got its row since
				indexed = iter.Next()
			}
			c.after, c.unindexed = c.unindexed[0], c.unindexed[1:]
		}
		ids = append(ids, c.after)
	}
	if err := errors.Join(iter.Error(), iter.Close()); err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	return ids, nil
}

func indexedID(iter *pebble.Iterator) conversation.ServiceID {
	return conversation.ServiceID(binary.BigEndian.Uint64(iter.Key()[1:]))
}

// ServiceRow reads the row of a service in whichever phase; nil when o has none. What is not
// in rows it does not see.
func (s *Store) ServiceRow(o conversation.Owner, id conversation.ServiceID) (*conversation.Service, error) {
	svc, _, err := s.service(o, activePhase, id)
	if svc == nil && err == nil { // one that ends has its other row before it loses this one
		svc, _, err = s.service(o, completedPhase, id)
	}
	return svc, err
}
