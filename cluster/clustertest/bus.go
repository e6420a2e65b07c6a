package clustertest

import (
	"context"
	"errors"
	"slices"

	"github.com/spatehub/spate/cluster"
)

var _ cluster.Bus = (*Port)(nil)

// bus is who listens, and through which port.
type bus struct{ ears []*ear }

type ear struct {
	port  *Port
	words chan func()
	fn    func(data []byte, answer func([]byte) error)
}

var errCut = errors.New("clustertest: the port is cut off")

// Hush has all be lost that the node says beside the stream, or no more.
func (p *Port) Hush(hush bool) {
	p.f.mu.Lock()
	p.hushed = hush
	p.f.mu.Unlock()
}

// Send implements cluster.Bus. What is lost of requests to the stream is lost here too.
func (p *Port) Send(data []byte) error { return p.spread(data, nil) }

func (p *Port) spread(data []byte, answer func(from *Port, data []byte) error) error {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.cut {
		return errCut
	}
	if p.hushed {
		return nil // it is lost
	}
	for _, e := range p.f.bus.ears {
		if e.port.cut || p.f.chance(p.failures.LostRequest) {
			continue
		}
		var reply func([]byte) error
		if answer != nil {
			reply = func(data []byte) error { return answer(e.port, data) }
		}
		select {
		case e.words <- func() { e.fn(data, reply) }:
		default: // it is lost
		}
	}
	return nil
}

// Ask implements cluster.Bus.
func (p *Port) Ask(ctx context.Context, data []byte, fn func([]byte) bool) error {
	answers := make(chan []byte, 1024)
	err := p.spread(data, func(from *Port, data []byte) error {
		p.f.mu.Lock()
		defer p.f.mu.Unlock()
		if p.cut || from.cut || p.f.chance(from.failures.LostAnswer) {
			return nil // lost
		}
		select {
		case answers <- data:
		default:
		}
		return nil
	})
	if err != nil {
		return err
	}
	for {
		select {
		case a := <-answers:
			if !fn(a) {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Listen implements cluster.Bus.
func (p *Port) Listen(fn func(data []byte, answer func([]byte) error)) (stop func(), err error) {
	e := &ear{port: p, words: make(chan func(), 1024), fn: fn}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case do := <-e.words:
				do()
			case <-over:
				return
			}
		}
	}()
	p.f.mu.Lock()
	p.f.bus.ears = append(p.f.bus.ears, e)
	p.f.mu.Unlock()
	return func() {
		p.f.mu.Lock()
		p.f.bus.ears = slices.DeleteFunc(slices.Clone(p.f.bus.ears), func(other *ear) bool { return other == e })
		p.f.mu.Unlock()
		close(over)
		<-ended
	}, nil
}
