package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The steps of a history: each asks the engine and the model the same, and holds the answers
// against each other.

// step is one random request.
func (h *history) step() {
	if len(h.m.services) > 90 { // so that the model stays quick
		h.purgeServices(h.tenant(), Purge{Limit: h.edge()})
	}
	tenant := h.tenant()
	n := h.IntN(100)
	for _, op := range operations {
		if n -= op.often; n < 0 {
			op.do(h, tenant)
			return
		}
	}
}

// operations, and how often each is asked for in a hundred.
var operations = []struct {
	name  string
	often int
	do    func(h *history, tenant string)
}{
	{"composite start", 28, (*history).compositeStart},
	{"start service", 4, (*history).startService},
	{"start state", 7, (*history).startState},
	{"start task", 7, (*history).startTask},
	{"end service", 8, (*history).endService},
	{"end state", 5, (*history).endState},
	{"end task", 5, (*history).endTask},
	{"associate", 10, (*history).associate},
	{"transition", 5, (*history).transition},
	{"set extension", 8, (*history).setExtension},
	{"set expiration", 3, (*history).setExpiration},
	{"delete service", 2, (*history).deleteService},
	{"purge", 1, (*history).purgeSome},
	{"export", 2, (*history).exportSome},
	{"read", 5, (*history).read},
}

// none is the answer of what answers nothing but an error.
type none struct{}

// ask puts one request to both. The model is told the engine's answer, for its ids.
func ask[R any](h *history, name, tenant string, request any, engine func(*Engine) (R, error), model func(R) (R, error)) {
	h.t.Helper()
	now := h.m.now
	got, gotErr := engine(h.views[tenant])
	want, wantErr := model(got)
	say := func() string {
		answer := fmt.Sprintf("%+v", got)
		if len(answer) > 400 {
			answer = answer[:400] + "…"
		}
		return fmt.Sprintf("%s %q %s %s\n    -> %s, %v", showInstant(now), tenant, name, describe(request), answer, gotErr)
	}
	h.m.count(name + ": " + errorKind(wantErr))
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w || errorKind(gotErr) != errorKind(wantErr) {
		h.say(say)
		h.fatal("the engine answered %s, %s (%v)\nthe model       %s, %s", g, errorKind(gotErr), gotErr, w, errorKind(wantErr))
	}
	if !h.quiet {
		h.say(say)
	}
	if len(h.m.wrongIDs) > 0 {
		h.fatal("%v", h.m.wrongIDs)
	}
}

func errorKind(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, ErrInvalid):
		return "refused"
	case errors.Is(err, ErrNotFound):
		return "not found"
	}
	return err.Error()
}

func (h *history) compositeStart(tenant string) {
	items := h.composites()
	ask(h, "composite start", tenant, items,
		func(e *Engine) ([]Outcome, error) { return e.CompositeStart(h.ctx, items, nil) },
		func(got []Outcome) ([]Outcome, error) { return h.m.compositeStart(tenant, items, got) })
}

func (h *history) startService(tenant string) {
	r := h.serviceStart()
	ask(h, "start service", tenant, r,
		func(e *Engine) (ServiceID, error) { return e.StartService(h.ctx, &r) },
		func(got ServiceID) (ServiceID, error) { return h.m.startService(tenant, &r, got) })
}

func (h *history) startState(tenant string) {
	r := h.stateStart(h.service(tenant))
	ask(h, "start state", tenant, r,
		func(e *Engine) (int32, error) { return e.StartState(h.ctx, &r) },
		func(got int32) (int32, error) { return h.m.startState(tenant, &r, got) })
}

func (h *history) startTask(tenant string) {
	r := h.taskStart(h.service(tenant))
	ask(h, "start task", tenant, r,
		func(e *Engine) (int32, error) { return e.StartTask(h.ctx, &r) },
		func(got int32) (int32, error) { return h.m.startTask(tenant, &r, got) })
}

func (h *history) transition(tenant string) {
	s := h.service(tenant)
	r := &StateTransition{
		Service: s.id, From: h.part(s.states, s), To: h.partType(), Timestamp: h.timestamp(),
		Ended: h.details(endFields, false), Started: h.details(startFields, true),
	}
	ask(h, "transition", tenant, r,
		func(e *Engine) (int32, error) { return e.Transition(h.ctx, r) },
		func(got int32) (int32, error) { return h.m.transition(tenant, r, got) })
}

// change is for what answers nothing but an error.
func (h *history) change(name, tenant string, request any, engine func(*Engine) error, model func() error) {
	ask(h, name, tenant, request,
		func(e *Engine) (none, error) { return none{}, engine(e) },
		func(none) (none, error) { return none{}, model() })
}

func (h *history) endService(tenant string) {
	r := &ServiceEnd{
		Service: h.service(tenant).id, TTL: h.seconds(90), ExpirationTime: h.expiration(),
		Timestamp: h.timestamp(), Details: h.details(endFields, true),
	}
	h.change("end service", tenant, r,
		func(e *Engine) error { return e.EndService(h.ctx, r) },
		func() error { return h.m.endService(tenant, r) })
}

func (h *history) endState(tenant string) {
	s := h.service(tenant)
	r := &StateEnd{Service: s.id, ID: int32(h.part(s.states, s)), Timestamp: h.timestamp(), Details: h.details(endFields, true)}
	h.change("end state", tenant, r,
		func(e *Engine) error { return e.EndState(h.ctx, r) },
		func() error { return h.m.endState(tenant, r) })
}

func (h *history) endTask(tenant string) {
	s := h.service(tenant)
	r := &TaskEnd{Service: s.id, ID: int32(h.part(s.tasks, s)), Timestamp: h.timestamp(), Details: h.details(endFields, true)}
	h.change("end task", tenant, r,
		func(e *Engine) error { return e.EndTask(h.ctx, r) },
		func() error { return h.m.endTask(tenant, r) })
}

func (h *history) associate(tenant string) {
	r := h.association(tenant)
	h.change("associate", tenant, r,
		func(e *Engine) error { return e.Associate(h.ctx, r) },
		func() error { return h.m.associate(tenant, r) })
}

func (h *history) deleteService(tenant string) {
	id := h.service(tenant).id
	h.change("delete service", tenant, id,
		func(e *Engine) error { return e.DeleteService(h.ctx, id) },
		func() error { return h.m.deleteService(tenant, id) })
}

func (h *history) setExpiration(tenant string) {
	r := &ServiceExpiration{Service: h.service(tenant).id, TTL: h.seconds(50), ExpirationTime: h.expiration()}
	h.change("set expiration", tenant, r,
		func(e *Engine) error { return e.SetExpiration(h.ctx, r) },
		func() error { return h.m.setExpiration(tenant, r) })
}

func (h *history) setExtension(tenant string) {
	r := h.extensionChange(tenant)
	h.change("set extension", tenant, r,
		func(e *Engine) error { return e.SetExtension(h.ctx, r) },
		func() error { return h.m.setExtension(tenant, r) })
}

func (h *history) purgeSome(tenant string) { h.purgeServices(tenant, h.purge()) }

func (h *history) purgeServices(tenant string, p Purge) {
	ask(h, "purge", tenant, p,
		func(e *Engine) (int, error) { return e.Purge(h.ctx, p) },
		func(int) (int, error) { return h.m.purge(tenant, p) })
}

func (h *history) exportSome(tenant string) { h.exportServices(tenant, h.filter()) }

func (h *history) exportServices(tenant string, f Filter) {
	ask(h, "export", tenant, f,
		func(e *Engine) ([]*modelService, error) { return exported(h.ctx, e.Export(f)) },
		func([]*modelService) ([]*modelService, error) {
			services, err := h.m.export(tenant, f)
			return byID(services), err
		})
}

// exported is all that an export gives.
func exported(ctx context.Context, x *Export) (all []*modelService, err error) {
	for {
		services, done, err := x.Next(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range services {
			all = append(all, seen(s))
		}
		if done {
			return byID(all), nil
		}
	}
}

func byID(services []*modelService) []*modelService {
	services = slices.Clone(services)
	slices.SortFunc(services, func(a, b *modelService) int { return int(max(-1, min(1, a.id-b.id))) })
	return services
}

func (h *history) read(tenant string) {
	switch h.IntN(3) {
	case 0:
		h.readService(tenant, h.service(tenant).id)
	case 1:
		h.readCustomer(tenant, h.customer(), h.phase())
	case 2:
		h.readAnonymous(tenant, h.contact(), h.phase())
	}
}

func (h *history) readService(tenant string, id ServiceID) {
	ask(h, "service by id", tenant, id,
		func(e *Engine) (*modelService, error) {
			s, err := e.Service(h.ctx, id)
			if err != nil {
				return nil, err
			}
			return seen(s), nil
		},
		func(*modelService) (*modelService, error) {
			h.m.letDue()
			if s := h.m.service(tenant, id); s != nil {
				return s, nil
			}
			return nil, ErrNotFound
		})
}

func (h *history) readCustomer(tenant, customer string, p Phase) {
	ask(h, "services of a customer", tenant, []any{customer, p},
		func(e *Engine) ([]*modelService, error) { return seenAll(e.CustomerServices(h.ctx, customer, p)) },
		func([]*modelService) ([]*modelService, error) { return h.m.customerServices(tenant, customer, p), nil })
}

func (h *history) readAnonymous(tenant, contact string, p Phase) {
	ask(h, "anonymous services", tenant, []any{contact, p},
		func(e *Engine) ([]*modelService, error) { return seenAll(e.AnonymousServices(h.ctx, contact, p)) },
		func([]*modelService) ([]*modelService, error) { return h.m.anonymousServices(tenant, contact, p), nil })
}

func seenAll(services []*Service, err error) (all []*modelService, _ error) {
	for _, s := range services {
		all = append(all, seen(s))
	}
	return all, err
}

// compareAll holds all that is stored against the model: by id, as lists, as exports.
func (h *history) compareAll() {
	h.quiet = true // a failure is to show the requests before
	defer func() { h.quiet = false }()
	for _, tenant := range h.tenants {
		for _, s := range slices.Clone(h.m.services) {
			if s.tenant == tenant {
				h.readService(tenant, s.id)
			}
		}
		for _, id := range h.m.ids[max(0, len(h.m.ids)-20):] {
			h.readService(tenant, id) // also those that are gone, and those of others
		}
		for _, p := range []Phase{AnyPhase, Active, Completed} {
			for _, customer := range []string{"", "a", "b", "c/ü"} {
				h.readCustomer(tenant, customer, p)
			}
			for _, contact := range []string{"", "a", "k", "555"} {
				h.readAnonymous(tenant, contact, p)
			}
		}
		h.exportServices(tenant, Filter{From: 1, To: At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))})
		h.exportServices(tenant, h.filter())
	}
}
