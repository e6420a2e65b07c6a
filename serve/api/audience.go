package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// audienceReply is how many connections an event would reach now.
type audienceReply struct {
	Connections int `json:"connections"`
}

// maxAudience bounds the users that are asked for: their names have to fit into a head.
const maxAudience = 1000

func (a *API) audience(c call) (answer, error) {
	if err := c.admin(); err != nil {
		return answer{}, err
	}
	// user and not uid, which says who asks where nobody is asked for credentials.
	q, err := c.params([]string{"topic"}, []string{"user"})
	if err != nil {
		return answer{}, err
	}
	if q.Has("topic") && q.Get("topic") == "" {
		return answer{}, &stream.Error{Status: http.StatusBadRequest, Field: "topic", Message: "is empty: leave it out for events without a topic"}
	}
	probe := wire.Event{Topic: q.Get("topic"), Data: "", Users: q["user"]}
	if len(probe.Users) > maxAudience {
		return answer{}, &stream.Error{Status: http.StatusBadRequest, Field: "user", Message: fmt.Sprintf("is given more than %d times", maxAudience)}
	}
	if err := probe.Validate(); err != nil {
		if field := (*wire.FieldError)(nil); errors.As(err, &field) && field.Field == "users" {
			err = &wire.FieldError{Field: "user", Reason: field.Reason} // as the query calls it
		}
		return answer{}, err
	}
	counts, err := a.Hub.Entitled(c.Context(), probe.Users, []string{probe.Topic})
	if err != nil {
		return answer{}, err
	}
	return ok(audienceReply{counts[0]}), nil
}
