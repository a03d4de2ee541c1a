package engine

import (
	"math"
	"math/rand/v2"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// world makes the requests of a history: of few customers, contact keys, types and names, so
// that everything meets everything; now and then of what cannot be.
type world struct {
	*rand.Rand
	m       *model
	tenants []string
}

const tooLong = "longer than its bound" // of a key, a type and an extension's name

func (w *world) oneIn(n int) bool { return w.IntN(n) == 0 }

func pick[T any](w *world, from ...T) T { return from[w.IntN(len(from))] }

// tenant is the one without a name more often: so that there is enough to be found.
func (w *world) tenant() string {
	if w.oneIn(2) {
		return ""
	}
	return pick(w, w.tenants...)
}

func (w *world) customer() string {
	if w.oneIn(100) {
		return tooLong
	}
	return pick(w, "a", "b", "c/ü")
}

func (w *world) contact() string {
	if w.oneIn(100) {
		return tooLong
	}
	return pick(w, "555", "a", "k")
}

func (w *world) serviceType() Value {
	switch w.IntN(120) {
	case 0:
		return Value{}
	case 1:
		return String(tooLong)
	}
	return pick(w, String("card"), String("card"), String("loan"), Integer(5), String("5"), String("05"))
}

func (w *world) partType() Value {
	if w.oneIn(100) {
		return String(tooLong)
	}
	return pick(w, String("A"), String("A"), String("B"), Integer(7), String("7"), Value{}, String(""))
}

// timestamp is a client's: mostly none, else near the server's, or one that others have too.
func (w *world) timestamp() Instant {
	switch w.IntN(8) {
	case 0:
		return w.m.now + Instant(w.IntN(7_200_000)-3_600_000)
	case 1:
		return w.m.now / 60_000 * 60_000
	case 2:
		return w.m.now + Instant(w.IntN(7)-3)
	}
	return 0
}

// seconds are those of a ttl or auto_complete_after; bad ones only where somebody looks.
func (w *world) seconds(none int) int64 {
	switch {
	case w.IntN(100) < none:
		return 0
	case w.oneIn(50):
		return -1
	case w.oneIn(30):
		return pick[int64](w, math.MaxInt64, math.MaxInt64/1000, math.MaxInt64/1000+1)
	}
	return pick(w, int64(1+w.IntN(5)), int64(1+w.IntN(60)), int64(1+w.IntN(7200)))
}

func (w *world) expiration() Instant {
	if !w.oneIn(8) {
		return 0
	}
	return w.m.now + Instant(pick(w, w.IntN(60_000)-2_000, w.IntN(7_200_000)))
}

var startFields = []conversation.Field{
	conversation.SessionID, conversation.InteractionID, conversation.ApplicationType, conversation.ApplicationID,
	conversation.ResourceType, conversation.ResourceID, conversation.MediaType, conversation.EstDuration,
}

var endFields = []conversation.Field{
	conversation.SessionID, conversation.ResourceID, conversation.MediaType, conversation.Disposition, conversation.DispositionDesc,
}

func (w *world) details(fields []conversation.Field, extensions bool) (d Details) {
	for _, f := range fields {
		if w.oneIn(6) {
			d = d.AppendField(f, []byte(pick(w, `"x"`, `"y\u00e9"`, `7`, `-12`)))
		}
	}
	if !extensions {
		return d
	}
	for _, name := range w.Perm(len(extensionNames)) {
		if w.oneIn(7) {
			d = d.AppendExtension([]byte(extensionNames[name]), []byte(w.json()))
		}
	}
	if w.oneIn(150) {
		d = d.AppendExtension([]byte(tooLong), []byte("1"))
	}
	return d
}

var extensionNames = []string{"Story", "größe", `q"`, "", "X", "Y", "Z"}

func (w *world) json() string {
	if w.oneIn(2) {
		return w.object()
	}
	return pick(w, `1`, `9007199254740993`, `1.10`, `1e400`, `-0`, `null`, `true`, `"é"`, `"\u00e9\n"`, `[]`, `[{"a":1.0},[2]]`)
}

func (w *world) object() string {
	return pick(w, `{}`, `{"a":1.10}`, `{"\u0061":9007199254740993}`, `{"b":{"a":1}}`, `{"a":null,"b":[1e400]}`, `{"":"","c":"<&>"}`)
}

func (w *world) serviceStart() ServiceStart {
	e := ServiceStart{
		Type: w.serviceType(), AutoCompleteAfter: w.seconds(75), TTL: w.seconds(85), ExpirationTime: w.expiration(),
		Timestamp: w.timestamp(), Details: w.details(startFields, true),
	}
	if !w.oneIn(3) {
		e.CustomerID = w.customer()
	}
	if w.oneIn(3) || e.CustomerID == "" && !w.oneIn(50) {
		e.ContactKey = w.contact()
	}
	return e
}

func (w *world) stateStart(s *modelService) StateStart {
	return StateStart{Service: s.id, Type: w.partType(), Previous: w.ref(s), Timestamp: w.timestamp(), Details: w.details(startFields, true)}
}

func (w *world) taskStart(s *modelService) TaskStart {
	return TaskStart{Service: s.id, Type: w.partType(), State: w.ref(s), Timestamp: w.timestamp(), Details: w.details(startFields, true)}
}

func (w *world) composite() Composite {
	none := &modelService{last: 3} // any small reference: some lead somewhere
	item := Composite{
		Service: w.serviceStart(), State: w.stateStart(none), Task: w.taskStart(none),
		HasTask: !w.oneIn(3), Associate: w.oneIn(2), CreateNew: w.oneIn(20),
	}
	if !w.oneIn(4) {
		item.State.Previous, item.Task.State = stateRef{}, stateRef{}
	}
	return item
}

func (w *world) composites() (items []Composite) {
	for range pick(w, 1, 1, 1, 2, 3) {
		items = append(items, w.composite())
	}
	switch w.IntN(100) {
	case 0:
		return nil
	case 1:
		for range w.m.bounds.Items {
			items = append(items, w.composite())
		}
	}
	return items
}

// service is one of the tenant's, mostly; else one of another tenant, one that is gone, or one
// that never was.
func (w *world) service(tenant string) *modelService {
	var theirs []*modelService
	for _, s := range w.m.services {
		if s.tenant == tenant {
			theirs = append(theirs, s)
		}
	}
	switch n := w.IntN(100); {
	case n < 3 && len(w.m.services) > 0:
		s := pick(w, w.m.services...)
		if s.tenant != tenant {
			w.m.count("of another tenant")
		}
		return s
	case n < 6 && len(w.m.ids) > 0:
		return &modelService{id: pick(w, w.m.ids...)}
	case n < 92 && len(theirs) > 0:
		return pick(w, theirs...)
	}
	return &modelService{id: pick[ServiceID](w, 0, -1, 1, 4097, 1<<53, math.MaxInt64, math.MinInt64)}
}

// ref is a reference to a state as a start sends it: often none, sometimes wrong.
func (w *world) ref(s *modelService) stateRef {
	if !w.oneIn(4) {
		return stateRef{}
	}
	return stateRef{Number: w.part(s.states, s), Set: true}
}

// part is an id of one of the parts, mostly.
func (w *world) part(parts []*modelPart, s *modelService) int64 {
	if len(parts) > 0 && !w.oneIn(10) {
		return int64(pick(w, parts...).id)
	}
	if w.oneIn(20) {
		return pick[int64](w, -1, math.MaxInt64, 1<<32+1)
	}
	return int64(w.IntN(int(s.last) + 2))
}

func (w *world) association(tenant string) *ServiceAssociation {
	e := &ServiceAssociation{Service: w.service(tenant).id, CustomerID: w.customer()}
	if w.oneIn(50) {
		e.CustomerID = ""
	}
	if w.oneIn(2) {
		e.Update = w.serviceStart()
		for _, absent := range []func(){
			func() { e.Update.Type = Value{} }, func() { e.Update.ContactKey = "" }, func() { e.Update.AutoCompleteAfter = 0 },
			func() { e.Update.Details = nil }, func() { e.Update.Timestamp = 0 },
		} {
			if w.oneIn(2) {
				absent()
			}
		}
	}
	return e
}

func (w *world) extensionChange(tenant string) *ExtensionChange {
	s := w.service(tenant)
	e := &ExtensionChange{Service: s.id, Name: pick(w, extensionNames...), JSON: []byte(w.json())}
	if w.oneIn(50) {
		e.Name = tooLong
	}
	switch w.IntN(3) {
	case 0:
		e.State = int32(w.part(s.states, s))
	case 1:
		e.Task = int32(w.part(s.tasks, s))
	}
	if w.oneIn(2) {
		e.Merge, e.JSON = true, []byte(w.object())
	}
	return e
}

func (w *world) phase() Phase { return pick(w, AnyPhase, Active, Completed) }

// edge is an instant where something begins or ends, or right beside it.
func (w *world) edge() Instant {
	if len(w.m.services) == 0 || w.oneIn(5) {
		return w.m.now + Instant(w.IntN(7_200_000)-3_600_000)
	}
	s := pick(w, w.m.services...)
	at := s.started
	if s.completed != nil && w.oneIn(2) {
		at = s.completed.at
	}
	return at + Instant(w.IntN(3)-1)
}

func (w *world) purge() Purge {
	p := Purge{Limit: w.edge(), Phase: w.phase(), Anonymous: w.oneIn(2)}
	if w.oneIn(20) {
		p.Limit = 0
	}
	return p
}

func (w *world) filter() Filter {
	f := Filter{From: w.edge(), Events: pick(w, AnyEvent, Started, Ended), Phase: w.phase()}
	switch w.IntN(20) {
	case 0:
		f.From = 0
	case 1, 2, 3, 4:
		f.From = 1
	}
	if !w.oneIn(3) {
		f.To = w.edge()
	}
	return f
}
