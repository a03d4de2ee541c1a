package transport

import (
	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/engine/conversation"
)

// The events of the API, each one member loop. A member is a field of the event, a common
// field, a name that only replies use (isReplyName), or else an extension. Where a loop is entered, the
// event's opening brace has been read.

func (r *reader) serviceStart(e *engine.ServiceStart) error {
	from := r.beginEvent()
	for name := r.member(); name != nil; name = r.member() {
		var err error
		switch string(name) {
		case "customer_id":
			e.CustomerID, err = r.key("customer_id")
		case "contact_key":
			e.ContactKey, err = r.key("contact_key")
		case "service_type":
			e.Type, err = r.longOrString("service_type")
		case "auto_complete_after":
			e.AutoCompleteAfter, err = r.seconds("auto_complete_after")
		case "ttl":
			e.TTL, err = r.seconds("ttl")
		case "expiration_time":
			e.ExpirationTime, err = r.timestamp("expiration_time")
		case "timestamp":
			e.Timestamp, err = r.timestamp("timestamp")
		default:
			err = r.startMember(name)
		}
		if err != nil {
			return err
		}
	}
	e.Details = r.endEvent(from)
	return nil
}

func (r *reader) stateStart(e *engine.StateStart) error {
	from := r.beginEvent()
	for name := r.member(); name != nil; name = r.member() {
		var err error
		switch string(name) {
		case "state_type":
			e.Type, err = r.longOrString("state_type")
		case "previous_state_id":
			e.Previous, err = r.id("previous_state_id")
		case "timestamp":
			e.Timestamp, err = r.timestamp("timestamp")
		default:
			err = r.startMember(name)
		}
		if err != nil {
			return err
		}
	}
	e.Details = r.endEvent(from)
	return nil
}

func (r *reader) taskStart(e *engine.TaskStart) error {
	from := r.beginEvent()
	for name := r.member(); name != nil; name = r.member() {
		var err error
		switch string(name) {
		case "customer_id": // of a task as read
			err = r.ignore(name)
		case "task_type":
			e.Type, err = r.longOrString("task_type")
		case "state_id":
			e.State, err = r.id("state_id")
		case "timestamp":
			e.Timestamp, err = r.timestamp("timestamp")
		default:
			err = r.startMember(name)
		}
		if err != nil {
			return err
		}
	}
	e.Details = r.endEvent(from)
	return nil
}

// In an end, what belongs to the start is accepted and ignored: clients send the resource
// back as they read it.

func (r *reader) serviceEnd(e *engine.ServiceEnd) error {
	from := r.beginEvent()
	for name := r.member(); name != nil; name = r.member() {
		var err error
		switch string(name) {
		case "ttl":
			e.TTL, err = r.seconds("ttl")
		case "expiration_time":
			e.ExpirationTime, err = r.timestamp("expiration_time")
		case "timestamp":
			e.Timestamp, err = r.timestamp("timestamp")
		case "customer_id", "contact_key", "service_type", "auto_complete_after":
			err = r.ignore(name)
		default:
			err = r.endMember(name)
		}
		if err != nil {
			return err
		}
	}
	e.Details = r.endEvent(from)
	return nil
}

func (r *reader) stateEnd(e *engine.StateEnd) error {
	from := r.beginEvent()
	for name := r.member(); name != nil; name = r.member() {
		var err error
		switch string(name) {
		case "timestamp":
			e.Timestamp, err = r.timestamp("timestamp")
		case "state_type", "previous_state_id":
			err = r.ignore(name)
		default:
			err = r.endMember(name)
		}
		if err != nil {
			return err
		}
	}
	e.Details = r.endEvent(from)
	return nil
}

func (r *reader) taskEnd(e *engine.TaskEnd) error {
	from := r.beginEvent()
	for name := r.member(); name != nil; name = r.member() {
		var err error
		switch string(name) {
		case "timestamp":
			e.Timestamp, err = r.timestamp("timestamp")
		case "task_type", "customer_id":
			err = r.ignore(name)
		default:
			err = r.endMember(name)
		}
		if err != nil {
			return err
		}
	}
	e.Details = r.endEvent(from)
	return nil
}

func (r *reader) beginEvent() (from int) {
	r.extensions = 0
	return len(r.details)
}

func (r *reader) endEvent(from int) engine.Details {
	return r.details[from:len(r.details):len(r.details)]
}

// startMember and endMember read what the two kinds of event have in common, and extensions.

func (r *reader) startMember(name []byte) error {
	if string(name) == "est_duration" {
		return r.integerField(conversation.EstDuration)
	}
	return r.commonMember(name)
}

func (r *reader) endMember(name []byte) error {
	switch string(name) {
	case "disposition":
		return r.longOrStringField(conversation.Disposition)
	case "disposition_desc":
		return r.textField(conversation.DispositionDesc, dispositionDescCharacters)
	case "est_duration":
		return r.ignore(name)
	default:
		return r.commonMember(name)
	}
}

func (r *reader) commonMember(name []byte) error {
	switch string(name) {
	case "session_id":
		return r.textField(conversation.SessionID, sessionIDCharacters)
	case "interaction_id":
		return r.textField(conversation.InteractionID, interactionIDCharacters)
	case "application_type":
		return r.typeField(conversation.ApplicationType)
	case "application_id":
		return r.integerField(conversation.ApplicationID)
	case "resource_type":
		return r.typeField(conversation.ResourceType)
	case "resource_id":
		return r.integerField(conversation.ResourceID)
	case "media_type":
		return r.typeField(conversation.MediaType)
	default:
		return r.extension(name)
	}
}
