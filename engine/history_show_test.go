package engine

import (
	"fmt"
	"reflect"
	"strings"
)

// wanted is what must occur.
var wanted = []string{
	"composite start: done", "composite start: refused", "item refused", "item refused after others", "service created",
	"service found", "service of several", "service forced", "task associated", "state created", "state found",
	"task created", "task found", "anonymous service created", "anonymous service found", "bound on active services",
	"bound on states and tasks", "bound on extensions", "start service: done", "start service: refused",
	"start state: done", "start state: refused", "start state: not found", "start task: done", "start task: refused",
	"start task: not found", "started under a completed service", "end service: done", "end service: refused",
	"end service: not found", "service ended before", "end state: done", "end state: refused", "end state: not found",
	"end task: done", "end task: refused", "end task: not found", "state or task ended before", "service by id: done",
	"service by id: not found", "services of a customer: done", "anonymous services: done", "clock back", "rest",
	"all asleep", "sweep", "reopen", "crash", "associate: done", "associate: refused", "associate: not found",
	"associated before", "moved from a contact key", "moved from a customer", "moved when completed", "transition: done",
	"transition: refused", "transition: not found", "transition from no state", "transition from an ended state",
	"set extension: done", "set extension: refused", "set extension: not found", "merged", "merged into no object",
	"set expiration: done", "set expiration: refused", "set expiration: not found", "auto-completed", "expired",
	"delete service: done", "delete service: not found", "purge: done", "purge: refused", "purged", "export: done",
	"export: refused", "exported", "of another tenant", "swept",
}

// missing is what has not occurred often enough.
func missing(counts map[string]int, enough int) (what []string) {
	for _, w := range wanted {
		if counts[w] < enough {
			what = append(what, w)
		}
	}
	return what
}

// describe shows a request as one would write it: what is absent is left out, details are
// unpacked, values and instants readable.
func describe(request any) string {
	var b strings.Builder
	describeValue(&b, reflect.ValueOf(request))
	return b.String()
}

func describeValue(b *strings.Builder, v reflect.Value) {
	switch x := v.Interface().(type) {
	case Value:
		b.WriteString(showValue(x))
		return
	case Instant:
		b.WriteString(showInstant(x))
		return
	case Details:
		showSaid(b, unpack(x))
		return
	case []byte:
		b.Write(x)
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		describeValue(b, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			b.WriteString("\n    ")
			describeValue(b, v.Index(i))
		}
	case reflect.Struct:
		describeStruct(b, v)
	default:
		fmt.Fprintf(b, "%#v", v.Interface())
	}
}

func describeStruct(b *strings.Builder, v reflect.Value) {
	b.WriteString("{")
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			fmt.Fprintf(b, " %s:", v.Type().Field(i).Name)
			describeValue(b, f)
		}
	}
	b.WriteString(" }")
}
