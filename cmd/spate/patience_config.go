package main

import (
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// patienceConfig is how long events may wait for others, to share a write to each connection.
type patienceConfig struct {
	linger   time.Duration // for all connections
	private  bool          // events for users linger too
	patience time.Duration // for those that ask for it, beside it
	urgent   listValue     // topics whose events wait for nothing
}

// maxWait bounds both.
const maxWait = time.Second

func (c *patienceConfig) addFlags(fs *flagSet) {
	fs.Var((*ageValue)(&c.linger), "linger", "`time` that an event may wait for others, to share a write to each connection (0: not at all)")
	fs.BoolVar(&c.private, "linger-private", false, "events for users linger too; else they go at once, and what waits for their connections with them")
	fs.Var((*ageValue)(&c.patience), "patience", "`time` that events may wait, beside --linger, for connections that ask for it by may_wait=true; events for users never do (0: not at all)")
	fs.Var(&c.urgent, "urgent-topic", "`topic`, or pattern of topics, whose events wait for nothing; may be given several times, in the environment with commas")
}

func (c *patienceConfig) validate(fs *flagSet) {
	fs.must(c.linger >= 0 && c.linger <= maxWait, "linger", "--linger %v: give 1s or less, or 0 for not at all", (*ageValue)(&c.linger))
	fs.must(c.patience >= 0 && c.patience <= maxWait, "patience", "--patience %v: give 1s or less, or 0 for not at all", (*ageValue)(&c.patience))
	fs.must(!c.private || c.linger > 0, "linger-private", "--linger-private says nothing without --linger")
	fs.must(len(c.urgent.values) == 0 || c.linger > 0 || c.patience > 0, "urgent-topic", "--urgent-topic says nothing without --linger or --patience")
	for _, topic := range c.urgent.values {
		_, err := wire.ParsePattern(topic)
		fs.must(err == nil, "urgent-topic", "--urgent-topic %q: %v", topic, err)
	}
}

// options are the engine's, of what is valid.
func (c *patienceConfig) options() []engine.HubOption {
	var urgent []wire.Pattern
	for _, topic := range c.urgent.values {
		if p, err := wire.ParsePattern(topic); err == nil {
			urgent = append(urgent, p)
		}
	}
	hurries := func(private bool, topic string) bool {
		if private && !c.private {
			return true
		}
		for _, p := range urgent {
			if topic != "" && p.Match(topic) {
				return true
			}
		}
		return false
	}
	return []engine.HubOption{engine.WithLinger(c.linger, hurries), engine.WithPatience(c.patience)}
}
