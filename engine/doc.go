// Package engine is what a program embeds: it knows which services, states and tasks are open
// for a customer, finds or creates them in one call, and answers only what is on disk.
//
//	e, err := engine.Open(engine.Options{Dir: "data"})
//	outcomes, err := e.CompositeStart(ctx, items, nil)
//	err = e.Close()
//
// # The way of one composite start
//
//	socket
//	  1 transport/composite.go   bytes to Composites: the JSON is checked and walked over; what no
//	                             rule looks at is packed as Details
//	  2 engine/composite.go      checks all items, admits the request, hands each item to its
//	                             customer and waits; an embedding program enters here
//	  3 actors/directory.go      owner to the one running actor; wakes it when there is none
//	    actors/mailbox.go        the sender serves an idle customer itself, others queue
//	  4 actors/customer.go       a turn: stamp time and id, conversation.Decide, Apply, and then
//	    conversation/decide.go   persist's Append; the rules are here
//	  5 persist/journal.go       records of many customers, packed in frames, one Pebble batch,
//	                             one sync: a group commit
//	disk
//	  6 persist/journal.go       it is synced: all who wait for it go on at once
//	  7 engine/composite.go      the caller has its Outcomes
//	  8 transport/composite.go   Outcomes to status, Location and bytes
//	socket
//
// Down once, up once: the answer does not pass the actor again. Beside the way there are the
// keeper, actors/keeper.go, which writes rows, lets customers sleep, follows what is due and
// empties what is left of old frames, and recovery, persist/recover.go. Other changes of one
// service take the same way, from engine/operations.go and engine/changes.go on. Two do not:
// actors/associate.go is the one change over two customers, and engine/maintenance.go walks over
// all services, for purge and export.
//
// # What holds
//
// Memory runs ahead of disk; answers never do. Every answer — found, read, and a refusal that
// depends on what is stored as much as created — is given only when the last record of its
// customer that it could have seen is synced. So no power cut takes back what somebody was
// told, and after it all of a message's records are there or none.
//
// A customer, or a contact key without one, is served by one actor, one message at a time, in
// the order in which they came. So of any number of identical requests at once exactly one
// creates.
//
// The domain, engine/conversation, is pure: it sees no clock, makes no id and does no I/O; the
// actor stamps both before deciding, and they stand in the records. What is on disk are
// decisions, not requests.
//
// A service's start, its states' and tasks' ids, and what is found are those of the contract:
// a service is found when it is active and of the same customer, an equal type and, where the
// request gives one, an equal contact key; a request without a customer finds services by
// contact key that have no customer. Values of the kind "long or string" are equal by their
// text. What is found is not changed by the event that found it. Ending a service ends its
// states and tasks at the same instant; ending twice changes nothing; states and tasks may
// be started under a completed service.
//
// What happens by itself — a service is completed some time after its last update, or expires —
// has happened, at its due instant, for whoever asks later, however late: every turn of an actor
// begins with it. Updates and due instants count in the server's time. Where it has gone back,
// nothing is taken back.
//
// An id leads to its service all the while, whomever it goes to. Nothing of one tenant is seen by
// another: the tenant is part of the owner, and an id leads to a service only within its own.
//
// Only active services are in memory. Completed ones are rows, read when they are asked for.
// Awake customers share the budget Options.Memory; past it those not lately used sleep, and
// wake at their next message.
//
// When the disk fails, Options.Fatal is called and nothing more is acknowledged: no sync is
// ever tried again. When it is nearly full, writes are refused and reads go on.
package engine
