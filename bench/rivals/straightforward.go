package rivals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	startPath = "/genesys/1/cs/services_composite/start"
	// maxBodyBytes and maxItems are the bounds that Switchboard has by default.
	maxBodyBytes = 1 << 20
	maxItems     = 1_000
	// drainWithin is how long requests in flight have once the server is told to end.
	drainWithin = 5 * time.Second
	// idleWithin is how long a connection may wait for its next request: past a pause of a load.
	idleWithin = 10 * time.Minute
)

// ServeStraightforward serves the composite start on l until ctx is done, and keeps its data in
// dir. It accepts connections once it has read what is there.
func ServeStraightforward(ctx context.Context, l net.Listener, dir string) error {
	s, err := openStore(dir)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return serveStore(ctx, s, l)
}

func serveStore(ctx context.Context, s *store, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+startPath, s.compositeStart)
	server := &http.Server{
		Handler:     mux,
		ReadTimeout: answerWithin, WriteTimeout: answerWithin, IdleTimeout: idleWithin,
	}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
		defer cancel()
		ended <- server.Shutdown(drain)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, s.close())
	}
	return errors.Join(<-ended, s.close())
}

// compositeRequest is the body of a composite start.
type compositeRequest struct {
	Services []compositeItem `json:"services"`
}

type compositeItem struct {
	Service   *event `json:"service"`
	State     *event `json:"state"`
	Task      *event `json:"task"`
	Associate flag   `json:"associate_state_task"`
}

// event is kept as it came, beside the members that decide what is found.
type event struct {
	eventHead
	raw json.RawMessage
}

type eventHead struct {
	CustomerID  text `json:"customer_id"`
	ServiceType text `json:"service_type"`
	StateType   text `json:"state_type"`
	TaskType    text `json:"task_type"`
}

func (e *event) UnmarshalJSON(b []byte) error {
	e.raw = append(e.raw[:0], b...)
	return json.Unmarshal(b, &e.eventHead)
}

// text is a long or a string, which are equal when their texts are; "" where it is absent.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		return nil
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	}
	if _, err := strconv.ParseInt(string(b), 10, 64); err != nil {
		return fmt.Errorf("want an integer or a string, got %s", b)
	}
	*t = text(b)
	return nil
}

// flag is a boolean, or one as a string.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(string(b)) {
	case "true", `"true"`:
		*f = true
	case "false", `"false"`, "null":
		*f = false
	default:
		return fmt.Errorf("associate_state_task: want a boolean, got %s", b)
	}
	return nil
}

// check looks at all items before anything is written.
func (r *compositeRequest) check() error {
	if n := len(r.Services); n == 0 || n > maxItems {
		return fmt.Errorf("services: want 1 to %d items, got %d", maxItems, n)
	}
	for i, item := range r.Services {
		switch {
		case item.Service == nil:
			return fmt.Errorf("services[%d].service: mandatory", i)
		case item.State == nil:
			return fmt.Errorf("services[%d].state: mandatory", i)
		case item.Service.CustomerID == "":
			return fmt.Errorf("services[%d].service.customer_id: mandatory", i)
		case item.Service.ServiceType == "":
			return fmt.Errorf("services[%d].service.service_type: mandatory", i)
		}
	}
	return nil
}

// compositeReply is the answer to a composite start.
type compositeReply struct {
	Services []replyItem `json:"services"`
}

type replyItem struct {
	Service serviceReply `json:"service"`
	State   stateReply   `json:"state"`
	Task    *taskReply   `json:"task,omitempty"`
}

type serviceReply struct {
	ID      int64 `json:"service_id"`
	Created bool  `json:"created,string"`
}

type stateReply struct {
	ID      int64 `json:"state_id"`
	Created bool  `json:"created,string"`
}

type taskReply struct {
	ID      int64 `json:"task_id"`
	Created bool  `json:"created,string"`
}

func (s *store) compositeStart(w http.ResponseWriter, hr *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, hr.Body, maxBodyBytes))
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequestException", err)
		return
	}
	var r compositeRequest
	if err = json.Unmarshal(body, &r); err == nil {
		err = r.check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequestException", err)
		return
	}
	outcomes, err := s.start(r.Services)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "InternalServerErrorException", err)
		return
	}
	reply := compositeReply{make([]replyItem, len(outcomes))}
	for i, o := range outcomes {
		reply.Services[i] = replyItem{
			Service: serviceReply{o.service, o.serviceCreated},
			State:   stateReply{o.state, o.stateCreated},
		}
		if o.task != 0 {
			reply.Services[i].Task = &taskReply{o.task, o.taskCreated}
		}
	}
	last := outcomes[len(outcomes)-1]
	location := fmt.Sprintf("/genesys/1/cs/services/%d/states/%d", last.service, last.state)
	if last.task != 0 {
		location = fmt.Sprintf("/genesys/1/cs/services/%d/tasks/%d", last.service, last.task)
	}
	w.Header().Set("Location", location)
	answer(w, http.StatusOK, reply)
}

func refuse(w http.ResponseWriter, status int, exception string, err error) {
	answer(w, status, map[string]string{
		"message":   err.Error(),
		"exception": "com.genesyslab.gsg.services.contextservices.exceptions." + exception,
	})
}

// answer gives the length, without which a long body would go out in chunks.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("an answer that is no JSON: %v", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that has gone is told nothing
}
