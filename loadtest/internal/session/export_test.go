package session

import "github.com/spatehub/spate/loadtest/stamp"

// ParseKnown returns a parser that remembers events.
func ParseKnown() func([]byte) (stamp.Stamp, stamp.Verdict) { return new(known).parse }
