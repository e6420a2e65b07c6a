package pebblelog

import (
	"errors"
	"log/slog"
	"time"
)

// Bounds of the pause between two looks for records that have become too old.
const (
	minAgeTick = 100 * time.Millisecond
	maxAgeTick = time.Minute
)

// keep is the goroutine of the log: it keeps retention and heals the log after a
// failure. It ends when quit is closed.
func (p *Log) keep() {
	defer close(p.done)
	for {
		p.work()
		var tick <-chan time.Time
		if d := p.nextTick(); d > 0 {
			tick = p.cfg.clock.After(d)
		}
		select {
		case <-p.quit:
			return
		case <-p.kick:
		case <-tick:
		}
	}
}

// work does what there is to do now.
func (p *Log) work() {
	p.maint.Lock()
	defer p.maint.Unlock()
	if p.healLocked() != nil {
		return
	}
	err := p.retain()
	if err == nil {
		err = p.reclaim()
	}
	if err == nil {
		p.keepReserve()
	}
	if err != nil && !errors.Is(err, errInterrupted) {
		p.say(slog.LevelWarn, "persist: retention failed", err)
	}
}

// nextTick returns when the keeper has to look again without being woken, 0 for
// never.
func (p *Log) nextTick() time.Duration {
	p.maint.Lock()
	defer p.maint.Unlock()
	if p.heal.pause > 0 {
		return p.heal.pause
	}
	age := p.cfg.retention.MaxAge
	for _, r := range p.cfg.retention.Topics {
		if r.MaxAge > 0 && (age <= 0 || r.MaxAge < age) {
			age = r.MaxAge
		}
	}
	tick := time.Duration(0)
	if age > 0 {
		tick = min(max(age/chunksOfBound, minAgeTick), maxAgeTick)
	}
	if !p.reclaimAt.IsZero() && (tick == 0 || tick > reclaimDelay) {
		tick = reclaimDelay
	}
	return tick
}

// interrupted reports whether retention has to let go of maint.
func (p *Log) interrupted() bool { return p.changing.Load() > 0 || p.quitting() }

// quitting reports whether Close has asked the keeper to end.
func (p *Log) quitting() bool {
	select {
	case <-p.quit:
		return true
	default:
		return false
	}
}
