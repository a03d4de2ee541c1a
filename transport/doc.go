// Package transport is the HTTP front end: bytes to events, outcomes to bytes. It knows no
// actors and no disk; what it cannot answer by itself it asks the engine.
//
// # The way of a request
//
//	connections.go  accepts; closes or hurries connections when the server shuts down
//	server.go       one request: counts as in flight, is answered, a panic costs it alone
//	routes.go       the table of operations; path, then method
//	credentials.go  who may ask, and tenants.go for which tenant
//	call.go         what every handler shares: ids in paths, replies, Location
//	body.go         the body's size, kind and bytes, within a bound and a budget
//	composite.go    the main operation; starts.go the single starts and ends; changes.go,
//	                transition.go and extensions.go what changes what was started
//	events.go       the members of each event; fields.go their types
//	json.go         checks the text, walks over it, and has the place of what is wrong in it;
//	                compact.go takes out white space, timestamp.go reads times
//	deadline.go     how long the engine may take
//	reads.go        the reads; query.go their parameters; render.go the resources as read
//	maintenance.go  purge; export.go everything, made while it is fetched
//	errors.go       every kind of error as status and exception
//
// # What is served
//
// Below /genesys/1/cs, with the status of success; … stands for the path before it:
//
//	POST   /services_composite/start                                        200
//	POST   /services/start                                                  201
//	POST   /services/{id}/end                                               204
//	POST   /customers/{customer_id}/services/{id}                           204
//	DELETE /services/{id}                                                   200
//	PUT    /services/{id}                                                   200
//	POST   /services/{id}/states/start                                      201
//	POST   /services/{id}/states/{sid}/end                                  204
//	POST   /services/{id}/states/transition                                 201
//	POST   /services/{id}/tasks/start                                       201
//	POST   /services/{id}/tasks/{tid}/end                                   204
//	PUT    /services/{id}/extensions/{name}, …/merge                        200
//	PUT    /services/{id}/states/{sid}/extensions/{name}, …/merge           200
//	PUT    /services/{id}/tasks/{tid}/extensions/{name}, …/merge            200
//	GET    /services/{id}                                                   200
//	GET    /services/{id}/states, …/active, …/completed, …/{sid}            200
//	GET    /services/{id}/tasks, …/active, …/completed, …/{tid}             200
//	GET    /customers/{customer_id}/services, …/active, …/completed         200
//	GET    /services/anonymous/{contact_key}, …/active, …/completed         200
//	POST   /maintenance/purge                                               200
//	GET    /maintenance/services/stream                                     200
//
// and, for whoever watches the node, without tenant or credentials: its status (ONLINE, or
// OFFLINE before recovery is over and while draining), whether the process lives, and whether
// it takes requests (200, or 503 where the status is OFFLINE):
//
//	GET    /genesys/1/admin/node/status                                     200
//	GET    /healthz                                                         200
//	GET    /readyz                                                          200
//
// HEAD is served wherever GET is.
//
// # What is sent
//
// A body is one JSON object. Of an event every member is optional but those marked with a star;
// null is absent. An id is an integer, a moment an RFC 3339 timestamp, and "type" stands for an
// integer or a string, which come back as they were sent and are compared by their text.
//
//	all events     session_id, interaction_id (strings), application_type, resource_type,
//	               media_type (types), application_id, resource_id (integers), timestamp (moment;
//	               the server's time when absent)
//	all starts     est_duration (integer: seconds)
//	service start  customer_id or contact_key* (strings or integers; or both), service_type*
//	               (type), auto_complete_after, ttl (integers of at least 1: seconds),
//	               expiration_time (moment; ttl wins)
//	state start    state_type (type), previous_state_id (id)
//	task start     task_type (type), state_id (id)
//	all ends       disposition (type), disposition_desc (string); a service's also ttl,
//	               expiration_time; members of its start are ignored
//	transition     from* {state_id*, disposition, disposition_desc}, to* {state_type,
//	               est_duration}, and what all events have, for both ends
//	association    the members of a service start, none mandatory: those sent replace what is
//	               stored; a customer_id can only repeat the path's
//	expiration     ttl or expiration_time*
//	extension      any JSON value; for merge an object, whose members are added or replaced
//
// Every other member of an event is an extension: kept digit for digit, and given back on
// reads that ask for its name. One sent with an end, or put, replaces that of its name.
//
// A composite start is {"services": [{"service"*: …, "state"*: …, "task": …,
// "associate_state_task", "create_new_services"}, …], "create_new_services"}; the flags are
// booleans or the words for them, false by default. A service is found when it is active and its
// customer_id and service_type are equal and, where one is sent, its contact_key; without a
// customer_id among the anonymous ones, by contact_key. create_new_services makes a new one in
// any case, sent on the item or beside services. Of several the one started last is found. The
// state is looked for in it by state_type, the task by task_type in the whole service. With
// associate_state_task a created task gets the state's id. Location is that of the last item's
// task, or of its state.
//
// Parameters of reads: service_types, state_types, task_types, extensions (names, with commas
// between them or repeated), state_id (of tasks), started_from (at or after), started_to (before),
// active_states, completed_states, active_tasks, completed_tasks (true or false: nest them).
// extensions takes names of the resource that is read, * for all of them, and for those of
// nested ones State.name, State.* or State, Task.name, Task.* or Task.
//
// A purge takes limit* (moment) and operation*, in its body or its query: purge.service.all,
// .started, .started.anonymous, .completed or .completed.anonymous, of the services that were
// there when it began and whose started.timestamp lies before the limit.
//
// An export takes time_from* (at or after), time_to (before; now, and with it, when absent),
// filter_events (any, started or completed: which event lies in that time), filter_state (any,
// active or inactive), and export_content (true: whole services, else their ids).
//
// With tenants the header ContactCenterId names one, on every request; without, it is not looked
// at, nor is GroupId ever.
//
// # Refusals
//
// Refusals are JSON, {"message", "exception"}, the exception under
// com.genesyslab.gsg.services.contextservices.exceptions, which is what clients of that API
// compare; errors.go has the list. 400 for what is wrong with the request or its
// tenant, 401 with WWW-Authenticate where credentials are needed, 403 for a user of another
// tenant, 404 for an unknown path or resource (400 when a service is deleted that is not there),
// 405 with Allow, 408 for a request that does not arrive in time,
// 413 and 415 for a body too large or not JSON, 431 for headers of more than 16 KiB, 503 with
// Retry-After for overload, draining and deadlines, 507 for a full disk, 500 for a fault of
// ours. What is looked at first wins: the path, the method, whether requests are taken,
// credentials, tenant, size and kind of the body, its grammar and fields, then whether the
// resource is there, then its state. Of several faults in a body the first one is told.
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
//   - The same customer again leaves a service as it is, whatever the association would update.
//   - A completion by itself is an update, from which the default expiration counts. A timestamp
//     of an end may lie before that of the start: the duration is then 0.
//   - A transition needs to, which may be empty. It takes est_duration beside from and to where to has none. Of other members,
//     those in from and to that have no meaning there are ignored; beside them, fields of a state
//     are ignored, too, and the rest are extensions of the new state.
//   - PUT services/{id} ignores members other than ttl and expiration_time.
//   - An extension that is put is named by its path: UTF-8, within the bound on names, and no field
//     of a resource or event of its kind. Its body may be any JSON value, null as well.
//   - purge.service.started means services that are active. What the body of a purge does not say
//     its query may. A purge has no deadline, stops when the server drains, and may be sent again.
//   - An export that fails on its way is broken off without its last chunk. HEAD only checks its
//     parameters. A client must fetch each part of it within 30 seconds. Purges and exports running
//     at once are at most four; more are refused with 503.
//   - A user without tenants in the file of credentials may act for all. A name of a tenant is
//     compared byte for byte.
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
