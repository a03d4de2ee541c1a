package rivals

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// memTableBytes of Pebble: its default of 4 MB is full many times a second here.
const memTableBytes = 64 << 20

// store has every service in memory and every event in Pebble: find-or-create looks into the
// maps, and what it creates is one batch with Sync a request. Syncs of different customers become
// one in Pebble.
type store struct {
	db          *pebble.DB
	lastService atomic.Int64

	mu        sync.Mutex // guards the map, not what is in it
	customers map[string]*customer
}

// customer has the active services by type; here, where nothing ends, that is all of them.
type customer struct {
	// mu guards the services. It is held until they are synced: who finds something must not
	// be told of it before it is on disk.
	mu       sync.Mutex
	services map[string]*service
}

type service struct {
	id, last      int64 // last is the last id given to a state or task
	states, tasks map[string]int64
}

func newService(id int64) *service {
	return &service{id: id, states: map[string]int64{}, tasks: map[string]int64{}}
}

// A row's key is the service's id, what it is, and its own id; so a service comes before what it
// holds. Its value is the id of the state that it is associated with, and the event.
const (
	serviceRow byte = iota
	stateRow
	taskRow
)

func openStore(dir string) (*store, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       memTableBytes,
		Logger:             quiet{pebble.DefaultLogger},
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	s := &store{db: db, customers: map[string]*customer{}}
	if err := s.load(); err != nil {
		_ = db.Close() // only read from
		return nil, fmt.Errorf("load %s: %w", dir, err)
	}
	return s, nil
}

// quiet leaves out what Pebble says in passing. Its Fatalf ends the process, so that a failed
// commit is never acknowledged.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any) {}

func (s *store) close() error { return s.db.Close() }

// load builds the maps from the rows.
func (s *store) load() error {
	rows, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	var in *service
	for ok := rows.First(); ok; ok = rows.Next() {
		key, value := rows.Key(), rows.Value()
		_, n := binary.Uvarint(value)
		if len(key) != 17 || n <= 0 {
			return fmt.Errorf("row %x: want a key of 17 bytes and an id before the event, got %d and %x", key, len(key), value)
		}
		var head eventHead
		if err := json.Unmarshal(value[n:], &head); err != nil {
			return fmt.Errorf("row %x: %w", key, err)
		}
		id, own := int64(binary.BigEndian.Uint64(key)), int64(binary.BigEndian.Uint64(key[9:]))
		switch kind := key[8]; {
		case kind == serviceRow:
			in = newService(id)
			s.customer(string(head.CustomerID)).services[string(head.ServiceType)] = in
			s.lastService.Store(id)
			continue
		case in == nil || in.id != id:
			return fmt.Errorf("row %x: no service before it", key)
		case kind == stateRow:
			in.states[string(head.StateType)] = own
		case kind == taskRow:
			in.tasks[string(head.TaskType)] = own
		}
		in.last = max(in.last, own)
	}
	return rows.Error()
}

func (s *store) customer(id string) *customer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.customers[id]
	if c == nil {
		c = &customer{services: map[string]*service{}}
		s.customers[id] = c
	}
	return c
}

// lock locks each customer of the items once, in the order of their ids, so that two requests
// cannot wait for each other.
func (s *store) lock(items []compositeItem) (unlock func()) {
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = string(item.Service.CustomerID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	locked := make([]*customer, len(ids))
	for i, id := range ids {
		locked[i] = s.customer(id)
		locked[i].mu.Lock()
	}
	return func() {
		for _, c := range locked {
			c.mu.Unlock()
		}
	}
}

// start finds or creates what the items say; an item sees what those before it created.
func (s *store) start(items []compositeItem) ([]outcome, error) {
	defer s.lock(items)()
	batch := s.db.NewBatch()
	defer batch.Close()
	outcomes := make([]outcome, len(items))
	for i, item := range items {
		o, err := s.findOrCreate(batch, item)
		if err != nil {
			return nil, err
		}
		outcomes[i] = o
	}
	if batch.Empty() {
		return outcomes, nil
	}
	return outcomes, batch.Commit(pebble.Sync)
}

func (s *store) findOrCreate(batch *pebble.Batch, item compositeItem) (o outcome, err error) {
	c := s.customer(string(item.Service.CustomerID))
	kind := string(item.Service.ServiceType)
	in := c.services[kind]
	if in == nil {
		in = newService(s.lastService.Add(1))
		c.services[kind] = in
		o.serviceCreated = true
		if err := put(batch, in.id, serviceRow, 0, 0, item.Service.raw); err != nil {
			return o, err
		}
	}
	o.service = in.id
	o.state, o.stateCreated = in.findOrCreate(in.states, string(item.State.StateType))
	if o.stateCreated {
		if err := put(batch, in.id, stateRow, o.state, 0, item.State.raw); err != nil {
			return o, err
		}
	}
	if item.Task == nil {
		return o, nil
	}
	o.task, o.taskCreated = in.findOrCreate(in.tasks, string(item.Task.TaskType))
	if !o.taskCreated {
		return o, nil
	}
	associated := int64(0)
	if item.Associate {
		associated = o.state
	}
	return o, put(batch, in.id, taskRow, o.task, associated, item.Task.raw)
}

func (in *service) findOrCreate(ids map[string]int64, kind string) (id int64, created bool) {
	if id, found := ids[kind]; found {
		return id, false
	}
	in.last++
	ids[kind] = in.last
	return in.last, true
}

func put(batch *pebble.Batch, service int64, kind byte, id, associated int64, event []byte) error {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 17), uint64(service))
	key = binary.BigEndian.AppendUint64(append(key, kind), uint64(id))
	value := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(event)), uint64(associated))
	return batch.Set(key, append(value, event...), nil)
}
