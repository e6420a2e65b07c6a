package adapter

import (
	"bytes"
	"fmt"
	"net/url"

	"github.com/spatehub/spate/loadtest/stamp"
)

// Data of stamped events needs no escaping in JSON, by the stamp's design.

// hubBody is the push of spate and of sponge/pkg/sse:
// {"uids":["u1"],"events":[{"event":"message","data":"...","topic":"t1"}]}.
func hubBody(_ *Adapter, p *Push, events []Event) error {
	b := append(p.Body, '{')
	if events[0].Kind == stamp.User {
		b = append(b, `"uids":["`...)
		b = append(b, userName(events[0].Index)...)
		b = append(b, `"],`...)
	}
	b = append(b, `"events":[`...)
	for i, e := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"event":"`...)
		b = append(b, e.Type...)
		b = append(b, `","data":"`...)
		b = append(b, e.Data...)
		b = append(b, '"')
		if e.Kind == stamp.Topic {
			b = append(b, `,"topic":"`...)
			b = append(b, topicName(e.Index)...)
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	p.Body = append(b, "]}"...)
	return nil
}

// mercureBody is a form with topic, data and type.
func mercureBody(_ *Adapter, p *Push, events []Event) error {
	e := events[0]
	b := append(p.Body, "topic="...)
	b = append(b, e.target()...)
	b = append(b, "&type="...)
	b = append(b, url.QueryEscape(e.Type)...)
	b = append(b, "&data="...)
	p.Body = append(b, url.QueryEscape(string(e.Data))...)
	return nil
}

// nchanBody is the data as it is; the channel is in the URL.
func nchanBody(a *Adapter, p *Push, events []Event) error {
	if a.pushEach == nil {
		sep := "?"
		if bytes.IndexByte([]byte(p.URL), '?') >= 0 {
			sep = "&"
		}
		p.URL += sep + "id=" + events[0].target()
	}
	p.Body = append(p.Body, events[0].Data...)
	return nil
}

// centrifugoBody is a batch of publish commands.
func centrifugoBody(_ *Adapter, p *Push, events []Event) error {
	b := append(p.Body, `{"commands":[`...)
	for i, e := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"publish":{"channel":"`...)
		b = append(b, e.target()...)
		b = append(b, `","data":"`...)
		b = append(b, e.Data...)
		b = append(b, `"}}`...)
	}
	p.Body = append(b, "]}"...)
	return nil
}

// pushVars is what the templates of a push may use.
type pushVars struct {
	Data   string // the event's data; free of characters that JSON would escape
	Event  string // type
	Kind   string // broadcast, user or topic
	User   string // "" unless for a user
	Topic  string // "" unless for a topic
	Target string // the user, the topic or "all"
}

func eventVars(e Event) pushVars {
	v := pushVars{Data: string(e.Data), Event: e.Type, Kind: "broadcast", Target: e.target()}
	switch e.Kind {
	case stamp.User:
		v.Kind, v.User = "user", v.Target
	case stamp.Topic:
		v.Kind, v.Topic = "topic", v.Target
	}
	return v
}

func templateBody(a *Adapter, p *Push, events []Event) error {
	b := bytes.NewBuffer(p.Body)
	if err := a.pushBody.Execute(b, eventVars(events[0])); err != nil {
		return fmt.Errorf("-push-body: %w", err)
	}
	p.Body = b.Bytes()
	return nil
}
