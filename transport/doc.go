// Package transport is the HTTP front end: bytes to events, outcomes to bytes. It knows no
// actors and no disk; what it cannot answer by itself it asks the engine.
//
// # The way of a request
//
//	connections.go  accepts; closes or hurries connections when the server shuts down
//	server.go       one request: counts as in flight, is answered, a panic costs it alone
//	routes.go       the table of operations; path, then method
//	call.go         what every handler shares: ids in paths, replies, Location
//	body.go         the body's size, kind and bytes, within a bound and a budget
//	composite.go    the main operation; starts.go the single starts and ends
//	events.go       the members of each event; fields.go their types
//	json.go         one strict pass over the text, and the place of what is wrong in it;
//	                timestamp.go and compact.go read times and copy extensions
//	deadline.go     how long the engine may take
//	reads.go        the reads; query.go their parameters; render.go the resources as read
//	errors.go       every kind of error as status and exception
//
// # What is served
//
// Below /genesys/1/cs:
//
//	POST services_composite/start                 200  find or create service, state and task
//	POST services/start                           201
//	POST services/{id}/end                        204
//	POST services/{id}/states/start               201
//	POST services/{id}/states/{sid}/end           204
//	POST services/{id}/tasks/start                201
//	POST services/{id}/tasks/{tid}/end            204
//	GET  services/{id}                            200
//	GET  services/{id}/states[/active|/completed] 200  and states/{sid}
//	GET  services/{id}/tasks[/active|/completed]  200  and tasks/{tid}
//	GET  customers/{customer_id}/services[/active|/completed]          200
//	GET  services/anonymous/{contact_key}[/active|/completed]          200
//
// and, for whoever watches the node: GET /genesys/1/admin/node/status (ONLINE, or OFFLINE
// before recovery is over and while draining), /healthz (200 while the process lives) and
// /readyz (200, or 503 where the status is OFFLINE). HEAD is served wherever GET is.
//
// Refusals are JSON, {"message", "exception"}: 400 for what is wrong with the request, 404 for
// an unknown path or resource, 405 with Allow, 408 for a request that does not arrive in time,
// 413 and 415 for a body too large or not JSON, 431 for headers of more than 16 KiB, 503 with
// Retry-After for overload, draining and deadlines, 507 for a full disk, 500 for a fault of
// ours. What is looked at first wins: the path, the method, whether requests are taken, size
// and kind of the body, its grammar and fields, then whether the resource is there, then its
// state. Of several faults in a body the first one is told.
//
// # Decided where the API's pages are silent
//
//   - A path is cut at its slashes and then decoded, so that a customer may be called a/b.
//     An empty segment, and so a slash at the end, makes a path unknown.
//   - An id in a path is digits as replies write them; 01, +1 or a UUID is not found.
//   - A member of an event that names what replies say of any resource (service_id, started,
//     active_states and the like) is ignored; a field of another kind (a state_type sent with a
//     service) is an extension. application_type, resource_type and media_type have the bound of
//     the types that are matched.
//   - ttl, expiration_time and auto_complete_after are checked and kept, and have no effect yet.
//   - A state_id or previous_state_id that is no state of the service is refused also where what
//     carries it is found; a task with associate_state_task does not use its own state_id.
//   - Ends take no body, an empty one, or white space. Without a body its declared kind is not
//     looked at. A Content-Encoding other than identity is a 415.
//   - An integer, also one sent as a key or a type, fits 64 bits.
//   - A timestamp lies after the first instant of the year 1 and within the year 9999, in UTC;
//     a leap second is refused; T and Z may be lower case, as RFC 3339 has it.
//   - A list in a query is cut at its commas and then decoded, so that a name may hold an
//     encoded comma; empty names are dropped. A space in a timestamp is taken for a plus.
//   - Filters of a list do not hide a resource that is asked for by its id, only what is
//     nested in it. state_types and task_types on states filter the states and what they nest.
//   - After a refusal with more of the body under way than came with the headers (8 KiB), the
//     connection is closed; what the client still sends is taken off the line for a second, so
//     that it sees the answer.
package transport
