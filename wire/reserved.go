package wire

// Types of the events by which a hub speaks for itself. No publisher may use
// them: a client acts on them.
const (
	GapType        = "gap"        // history is lost to the client
	DisconnectType = "disconnect" // why the hub ends the connection
)

// reserved is the one list of them.
var reserved = [...]string{GapType, DisconnectType}

// Reserved reports whether the event type is a hub's own.
func Reserved(eventType string) bool {
	for _, r := range reserved {
		if eventType == r {
			return true
		}
	}
	return false
}

// ValidateType refuses an event type that is a hub's own, with a [*FieldError]. It
// is for events from publishers: [Event.Validate] takes those of the hub as well.
func (e *Event) ValidateType() error {
	if !Reserved(e.Event) {
		return nil
	}
	return &FieldError{Field: "event", Reason: `is "` + e.Event + `", which only the hub itself sends`}
}
