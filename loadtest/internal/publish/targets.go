package publish

import (
	"math/rand/v2"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/stamp"
)

// targets draws addressees. It is for one goroutine at a time.
type targets struct {
	mix           config.Mix
	users, topics uint32
	rand          *rand.Rand
}

func newTargets(p *Publisher, r *rand.Rand) targets {
	return targets{mix: p.adapter.Mix(), users: uint32(p.cfg.Users), topics: uint32(p.cfg.Topics), rand: r}
}

func (t *targets) draw() (stamp.Kind, uint32) {
	if t.mix.Broadcast >= 1 {
		return stamp.Broadcast, 0
	}
	at := t.rand.Float64()
	switch {
	case at < t.mix.Broadcast:
		return stamp.Broadcast, 0
	case at < t.mix.Broadcast+t.mix.Users || t.mix.Topics == 0:
		return stamp.User, t.rand.Uint32N(t.users)
	}
	return stamp.Topic, t.rand.Uint32N(t.topics)
}
