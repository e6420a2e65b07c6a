package fleet

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// KindAway is the end of a stream that the server tells to stay away.
var KindAway = StatusKind(http.StatusNoContent)

// Again decides when a stream connects again. One is made for each part; any
// goroutine may use it.
type Again struct {
	env              *session.Env
	retry            time.Duration
	thinkLo, thinkHi time.Duration
	scheduled        bool
}

// NewAgain returns the rules of p.
func NewAgain(p *Part) *Again {
	lo, hi, _ := config.ParseThink(p.Config.Think) // checked by Normalize
	return &Again{env: p.Env, retry: p.Config.Retry, thinkLo: lo, thinkHi: hi, scheduled: p.Config.Arrivals != ""}
}

// After tells how long after an end of the given kind the stream connects again.
// With ok false it does not, unless an arrival asks for it.
func (a *Again) After(kind string) (wait time.Duration, ok bool) {
	switch {
	case kind == KindAway:
		return 0, false
	case a.env.Finite == nil:
		return jitter(a.retry), true
	case a.scheduled || a.env.Quiet.Load():
		return 0, false
	case kind != session.KindDone && kind != session.KindClosed:
		return max(a.think(), jitter(a.retry)), true // a server that refuses is not asked as fast as it can refuse
	}
	return a.think(), true
}

func (a *Again) think() time.Duration {
	return a.thinkLo + time.Duration(rand.Int64N(int64(a.thinkHi-a.thinkLo)+1))
}

// jitter is d, give or take a quarter, so that streams that failed together do not
// come back together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(rand.Int64N(int64(d)/2+1))
}

// MaxWaiting bounds the requests for finite streams that wait for a free one, in
// each part of a transport. Beyond it they are given up, and counted.
const MaxWaiting = 100_000
