package engine

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// What can be seen to be wrong with a request before anything is done. HTTP and embedders
// pass the same checks. A place is only put into words where something is wrong.

// valueBytes of a wrong value are shown in a message.
const valueBytes = 64

// checkItems checks a composite request and counts its bytes of details.
func (e *Engine) checkItems(items []Composite) (bytes int64, err error) {
	if len(items) == 0 {
		return 0, wrong("services", "must have at least one item")
	}
	if len(items) > e.opts.Bounds.Items {
		return 0, wrong("services", "%d items, the bound is %d", len(items), e.opts.Bounds.Items)
	}
	for i := range items {
		item := &items[i]
		if err := e.checkItem(item); err != nil {
			return 0, conversation.Under(itemPlace(i), err)
		}
		bytes += int64(len(item.Service.Details) + len(item.State.Details) + len(item.Task.Details))
	}
	return bytes, nil
}

func (e *Engine) checkItem(item *Composite) error {
	if err := e.checkService(&item.Service); err != nil {
		return conversation.Under("service", err)
	}
	if err := e.checkState(&item.State); err != nil {
		return conversation.Under("state", err)
	}
	if item.HasTask {
		if err := e.checkTask(&item.Task); err != nil {
			return conversation.Under("task", err)
		}
	}
	return nil
}

func (e *Engine) checkService(s *ServiceStart) error {
	if s.CustomerID == "" && s.ContactKey == "" {
		return wrong("customer_id", "mandatory where there is no contact_key, and both are missing")
	}
	if err := e.checkKey("customer_id", s.CustomerID); err != nil {
		return err
	}
	if err := e.checkKey("contact_key", s.ContactKey); err != nil {
		return err
	}
	if !s.Type.Present() {
		return wrong("service_type", "mandatory, and missing")
	}
	if err := e.checkKey("service_type", s.Type.Text()); err != nil {
		return err
	}
	if s.AutoCompleteAfter < 0 {
		return wrong("auto_complete_after", "at least 1, not %d", s.AutoCompleteAfter)
	}
	if err := checkExpiration(s.TTL, s.ExpirationTime); err != nil {
		return err
	}
	return e.checkExtensions(s.Details)
}

func (e *Engine) checkState(s *StateStart) error {
	if err := e.checkKey("state_type", s.Type.Text()); err != nil {
		return err
	}
	return e.checkExtensions(s.Details)
}

func (e *Engine) checkTask(t *TaskStart) error {
	if err := e.checkKey("task_type", t.Type.Text()); err != nil {
		return err
	}
	return e.checkExtensions(t.Details)
}

func (e *Engine) checkAssociation(a *ServiceAssociation) error {
	if a.CustomerID == "" {
		return wrong("customer_id", "mandatory, and missing")
	}
	start := a.Update // what a start must have, and an update need not
	start.CustomerID = a.CustomerID
	if !start.Type.Present() {
		start.Type = String("")
	}
	return e.checkService(&start)
}

func (e *Engine) checkTransition(t *StateTransition) error {
	if err := e.checkKey("to.state_type", t.To.Text()); err != nil {
		return err
	}
	if err := t.Ended.Check(); err != nil {
		return wrong("from", "%v", err)
	}
	if n := t.Ended.Extensions(); n > 0 {
		return wrong("from", "%d extensions; those of a transition go to the state that starts", n)
	}
	return e.checkExtensions(t.Started)
}

// checkExtension checks a change, and gives the value without white space between its tokens.
func (e *Engine) checkExtension(x *ExtensionChange) (compact []byte, err error) {
	switch bound := e.opts.Bounds.NameBytes; {
	case x.State != 0 && x.Task != 0:
		return nil, wrong("", "state %d and task %d; an extension belongs to one of them", x.State, x.Task)
	case !utf8.ValidString(x.Name):
		return nil, wrong("", "an extension's name must be UTF-8: %s", shown(x.Name))
	case len(x.Name) > bound:
		return nil, wrong("", "extension name of %d bytes, the bound is %d: %s", len(x.Name), bound, shown(x.Name))
	}
	value, err := compactJSON(x.JSON)
	if err != nil {
		return nil, wrong(x.Name, "not a JSON value: %v", err)
	}
	if nestsDeeper(value, e.opts.Bounds.Depth) {
		return nil, wrong(x.Name, "nested deeper than %d, which is the bound", e.opts.Bounds.Depth)
	}
	if x.Merge && value.Kind() != jsontext.KindBeginObject {
		return nil, wrong(x.Name, "want an object to merge, got %s", shown(string(value)))
	}
	return value, nil
}

// compactJSON copies a JSON value without white space between its tokens, and is as strict as
// HTTP is.
func compactJSON(raw []byte) (jsontext.Value, error) {
	value := jsontext.Value(slices.Clone(raw))
	err := value.Compact(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	return value, err
}

// nestsDeeper tells whether a valid value nests deeper than so many.
func nestsDeeper(value jsontext.Value, depth int) bool {
	d := jsontext.NewDecoder(bytes.NewReader(value))
	for {
		if _, err := d.ReadToken(); err != nil {
			return false
		}
		if d.StackDepth() > depth {
			return true
		}
	}
}

// checkExpiration checks when a service is to expire; both may be absent.
func checkExpiration(ttl int64, at Instant) error {
	if at < 0 {
		return wrong("expiration_time", "instant %d lies before the year 1", at)
	}
	return checkTTL(ttl)
}

func checkTTL(ttl int64) error {
	if ttl < 0 {
		return wrong("ttl", "at least 1, not %d", ttl)
	}
	return nil
}

func (e *Engine) checkKey(place, key string) error {
	if bound := e.opts.Bounds.KeyBytes; len(key) > bound {
		return wrong(place, "%d bytes, the bound is %d: %s", len(key), bound, shown(key))
	}
	return nil
}

func (e *Engine) checkExtensions(d Details) error {
	if err := d.Check(); err != nil {
		return wrong("", "%v", err)
	}
	n := 0
	for m := range d.Members() {
		if !m.IsExtension() {
			continue
		}
		n++
		if bound := e.opts.Bounds.NameBytes; len(m.Name) > bound {
			return wrong("", "extension name of %d bytes, the bound is %d: %s", len(m.Name), bound, shown(string(m.Name)))
		}
	}
	if bound := e.opts.Bounds.Extensions; n > bound {
		return wrong("", "%d extensions, the bound is %d", n, bound)
	}
	return nil
}

// shown is a value as a message quotes it, cut where it is long.
func shown(s string) string {
	if len(s) <= valueBytes {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", s[:valueBytes])
}

func wrong(place, reason string, args ...any) error {
	return &Error{Kind: ErrInvalid, Place: place, Reason: fmt.Sprintf(reason, args...)}
}
