package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// maxGroups bounds the groups of a run.
const maxGroups = 64

// Group is the index of stream n's group; -1 if it is in none.
func (c *Config) Group(n int) int {
	for g := range c.Groups {
		if n < c.groupEnd(g) {
			return g
		}
	}
	return -1
}

// groupEnd is the first stream behind group g.
func (c *Config) groupEnd(g int) int {
	var sum float64
	for _, x := range c.Groups[:g+1] {
		sum += x.Share
	}
	return min(c.Streams, int(math.Round(sum*float64(c.Streams))))
}

// GroupStreams is the range of group g's streams, the last excluded; with -1 that
// of the streams in no group.
func (c *Config) GroupStreams(g int) (from, to int) {
	switch {
	case g < 0 && len(c.Groups) == 0:
		return 0, c.Streams
	case g < 0:
		return c.groupEnd(len(c.Groups) - 1), c.Streams
	case g == 0:
		return 0, c.groupEnd(0)
	}
	return c.groupEnd(g - 1), c.groupEnd(g)
}

// Behaviour is how the streams of a group, or of none (-1), behave.
type Behaviour struct {
	Churn, Slow, Stall float64
	Away               time.Duration
	SlowRate           int
}

// Behaviour returns that of group g.
func (c *Config) Behaviour(g int) Behaviour {
	b := Behaviour{Churn: c.Churn, Slow: c.Slow, Stall: c.Stall, Away: c.Away, SlowRate: c.SlowRate}
	if g < 0 {
		return b
	}
	x := &c.Groups[g]
	set(&b.Churn, x.Churn)
	set(&b.Slow, x.Slow)
	set(&b.Stall, x.Stall)
	set(&b.Away, x.Away)
	set(&b.SlowRate, x.SlowRate)
	return b
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// InitialStreams is how many streams are open when publishing begins.
func (c *Config) InitialStreams() int {
	if len(c.Line) == 0 {
		return c.Streams
	}
	return c.Line[0].Streams
}

// StreamsAt is how many streams are to be open at a moment after publishing began.
func (c *Config) StreamsAt(at time.Duration) int {
	if len(c.Line) == 0 {
		return c.Streams
	}
	for i := 1; i < len(c.Line); i++ {
		a, b := c.Line[i-1], c.Line[i]
		if at < b.At {
			return a.Streams + int(float64(b.Streams-a.Streams)*float64(at-a.At)/float64(b.At-a.At))
		}
	}
	return c.Line[len(c.Line)-1].Streams
}

func (c *Config) checkGroups() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	var sum float64
	names := map[string]bool{}
	if len(c.Groups) > maxGroups {
		fault("groups: %d are more than %d", len(c.Groups), maxGroups)
	}
	for i, g := range c.Groups {
		if g.Name == "" || names[g.Name] {
			fault("groups: number %d needs a name of its own", i+1)
		}
		names[g.Name] = true
		if !(g.Share > 0) || g.Share > 1 {
			fault("group %s: its share of the streams is missing, such as 20%%", g.Name)
		}
		sum += g.Share
		if g.Topic != nil && (*g.Topic < 0 || *g.Topic >= max(c.Topics, 1)) {
			fault("group %s: there is no topic %d of %d", g.Name, *g.Topic, c.Topics)
		}
		b := c.Behaviour(i)
		if b.Slow+b.Stall > 1 || b.SlowRate < 1 {
			fault("group %s: slow and stall together exceed its streams, or its slow-rate is below 1", g.Name)
		}
		if c.Finite && (b.Churn > 0 || b.Slow+b.Stall > 0) {
			fault("group %s: finite streams have no churn, slow and stall", g.Name)
		}
	}
	if sum > 1+1e-9 {
		fault("groups: their shares are %.0f %% of the streams", sum*100)
	}
	for i, x := range c.Line {
		if x.Streams < 0 || x.Streams > c.Streams || i > 0 && x.At < c.Line[i-1].At {
			fault("stages: %d streams at %s: give 0 to %d, in the order of time", x.Streams, x.At, c.Streams)
		}
	}
	if len(c.Line) > 0 && c.Finite {
		fault("stages of streams are for lasting ones: use -arrivals for -finite ones")
	}
	if c.Login.URL == "" && len(c.Login.Take) > 0 {
		fault("-login-take: give the request with -login-url")
	}
	for _, take := range c.Login.Take {
		name, from, _ := strings.Cut(take, "=")
		kind, what, _ := strings.Cut(from, ":")
		if name == "" || what == "" || !slices.Contains([]string{"json", "cookie", "header"}, kind) {
			fault("-login-take %q: write name=json:$.path, name=cookie:NAME or name=header:NAME", take)
		}
	}
	return faults
}

// JSONPath turns $.a[0].b into the form a.0.b, which gjson reads.
func JSONPath(p string) string {
	p = strings.TrimPrefix(strings.TrimPrefix(p, "$"), ".")
	return strings.TrimPrefix(strings.NewReplacer("[", ".", "]", "", "'", "", `"`, "").Replace(p), ".")
}
