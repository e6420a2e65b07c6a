package jetstream

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/spatehub/spate/cluster"
)

var _ cluster.Bus = (*Stream)(nil)

// maxWords bounds what nodes have said that waits to be looked at. What is beyond is lost.
const maxWords = 4096

func (s *Stream) busSubject() string { return s.cfg.name + ".n" }

// Send implements [cluster.Bus], by a message of core NATS.
func (s *Stream) Send(data []byte) error { return s.nc.Publish(s.busSubject(), data) }

// Ask implements [cluster.Bus].
func (s *Stream) Ask(ctx context.Context, data []byte, fn func(answer []byte) bool) error {
	inbox := s.nc.NewInbox()
	answers := make(chan *nats.Msg, maxWords)
	sub, err := s.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.nc.PublishRequest(s.busSubject(), inbox, data); err != nil {
		return err
	}
	for {
		select {
		case m := <-answers:
			if len(m.Data) > 0 && !fn(m.Data) { // empty: nobody listens
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Listen implements [cluster.Bus].
func (s *Stream) Listen(fn func(data []byte, answer func([]byte) error)) (stop func(), err error) {
	words := make(chan *nats.Msg, maxWords)
	sub, err := s.nc.ChanSubscribe(s.busSubject(), words)
	if err != nil {
		return nil, err
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case m := <-words:
				var answer func([]byte) error
				if m.Reply != "" {
					answer = m.Respond
				}
				fn(m.Data, answer)
			case <-over:
				return
			}
		}
	}()
	return func() {
		_ = sub.Unsubscribe()
		close(over)
		<-ended
	}, nil
}
