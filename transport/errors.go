package transport

import (
	"errors"
	"fmt"
	"net"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"

	"github.com/switchboard-cs/switchboard/engine"
)

// The kinds of refusal that never reach the engine.
var (
	errNoPath      = errors.New("no such path")
	errMethod      = errors.New("method not allowed")
	errTimeout     = errors.New("the request did not arrive in time")
	errTooLarge    = errors.New("body too large")
	errNotJSON     = errors.New("not JSON")
	errHeaders     = fmt.Errorf("request line and headers of more than %d bytes, which is the bound", headerBytes)
	errNotHTTP     = errors.New("the request is not well-formed HTTP/1.1, or ended early")
	errUnavailable = errors.New("not taking requests at this time")
	errBodyBudget  = errors.New("too many large bodies are arriving at once")
	errConnections = errors.New("too many connections")
	errWalks       = fmt.Errorf("%d purges and exports are running, which is the bound", maxWalks)
	errTenant      = errors.New("invalid tenant")
	errUnknownUser = errors.New("no or wrong credentials")
	errForbidden   = errors.New("not allowed")
	errNotDeleted  = errors.New("no service to delete")
)

// answers says what each kind of error is on the wire. It is the only place where a kind
// becomes a status; what is not listed is a fault of ours.
var answers = []struct {
	kind      error
	status    int
	exception string
}{
	{engine.ErrInvalid, fasthttp.StatusBadRequest, "BadRequestException"},
	{errNotHTTP, fasthttp.StatusBadRequest, "BadRequestException"},
	{errTenant, fasthttp.StatusBadRequest, "ContextServicesExceptionResource"},
	{errNotDeleted, fasthttp.StatusBadRequest, "NotFoundException"}, // as the API has it
	{errUnknownUser, fasthttp.StatusUnauthorized, "UnauthorizedException"},
	{errForbidden, fasthttp.StatusForbidden, "ForbiddenException"},
	{engine.ErrNotFound, fasthttp.StatusNotFound, "NotFoundException"},
	{errNoPath, fasthttp.StatusNotFound, "NotFoundException"},
	{errMethod, fasthttp.StatusMethodNotAllowed, "MethodNotAllowedException"},
	{errTimeout, fasthttp.StatusRequestTimeout, "RequestTimeoutException"},
	{errTooLarge, fasthttp.StatusRequestEntityTooLarge, "PayloadTooLargeException"},
	{errNotJSON, fasthttp.StatusUnsupportedMediaType, "UnsupportedMediaTypeException"},
	{errHeaders, fasthttp.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLargeException"},
	{engine.ErrOverloaded, fasthttp.StatusServiceUnavailable, "OverloadedException"},
	{engine.ErrUnknownOutcome, fasthttp.StatusServiceUnavailable, "OverloadedException"},
	{engine.ErrClosed, fasthttp.StatusServiceUnavailable, "OverloadedException"},
	{errUnavailable, fasthttp.StatusServiceUnavailable, "OverloadedException"},
	{errBodyBudget, fasthttp.StatusServiceUnavailable, "OverloadedException"},
	{errWalks, fasthttp.StatusServiceUnavailable, "OverloadedException"},
	{engine.ErrNoSpace, fasthttp.StatusInsufficientStorage, "InsufficientStorageException"},
}

// exceptions are what clients compare, so the prefix is that of the API we follow.
const exceptionPrefix = "com.genesyslab.gsg.services.contextservices.exceptions."

// retryAfter, in seconds, goes with every 503: all of them pass within a second or so.
const retryAfter = "1"

// tooManyConnections is the answer to a connection past the bound, which has no request yet.
var tooManyConnections = func() string {
	body := appendError(nil, errConnections.Error(), "OverloadedException")
	return fmt.Sprintf("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nRetry-After: %s\r\nConnection: close\r\n\r\n%s", len(body), retryAfter, body)
}()

// refuse answers with err.
func (c *call) refuse(err error) { c.server.refuse(c.ctx, err) }

func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	status, exception, message := s.describe(err)
	ctx.SetStatusCode(status)
	if status == fasthttp.StatusServiceUnavailable {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
	}
	ctx.Response.Header.SetContentType(contentTypeJSON)
	ctx.Response.SetBodyRaw(appendError(nil, message, exception))
}

// describe finds what the wire says of err. Only a refusal with a place and a value speaks
// for itself; of every other error the client sees its kind alone, for what wraps it names
// files and internals.
func (s *Server) describe(err error) (status int, exception, message string) {
	for _, a := range answers {
		if !errors.Is(err, a.kind) {
			continue
		}
		var refusal *engine.Error
		if errors.As(err, &refusal) {
			return a.status, a.exception, refusal.Error()
		}
		return a.status, a.exception, a.kind.Error()
	}
	s.options.Logf("transport: %v", err)
	return fasthttp.StatusInternalServerError, "InternalServerErrorException", "internal error"
}

func appendError(b []byte, message, exception string) []byte {
	b = append(b, `{"message":`...)
	b, _ = jsontext.AppendQuote(b, message) // what is not UTF-8 in an echoed value is replaced
	b = append(b, `,"exception":"`+exceptionPrefix...)
	b = append(b, exception...)
	return append(b, `"}`...)
}

// refuseUnread answers what fasthttp could not read as a request, or not in time. It then
// closes the connection, at once and without a word where no byte of a request came.
func (s *Server) refuseUnread(ctx *fasthttp.RequestCtx, err error) {
	if conn, ok := ctx.Conn().(*connection); ok {
		if conn.state.Load() == waiting {
			_ = conn.Conn.Close()
			return
		}
		conn.linger = true
	}
	var tooLong *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case s.draining.Load():
		s.refuse(ctx, errUnavailable)
	case errors.As(err, &tooLong):
		s.refuse(ctx, errHeaders)
	case errors.As(err, &network) && network.Timeout():
		s.refuse(ctx, errTimeout)
	default:
		s.refuse(ctx, errNotHTTP)
	}
}

// refusal is an error of one of the kinds above that says more than its kind.
func refusal(kind error, reason string, args ...any) error {
	return &engine.Error{Kind: kind, Reason: fmt.Sprintf(reason, args...)}
}
