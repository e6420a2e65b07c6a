package pebblelog

import (
	"context"
	"log/slog"
	"regexp"
	"sync"
	"time"
)

// sayEvery is how often a log reports the same again.
const sayEvery = 10 * time.Minute

// reports keeps what repeats from flooding the program's log: a disk that is full
// fails each attempt anew, at another file.
type reports struct {
	mu   sync.Mutex
	said map[string]time.Time // by message and reason
}

var numbers = regexp.MustCompile(`\d+`)

// say reports an error, unless the same was reported within sayEvery.
func (p *Log) say(level slog.Level, msg string, err error) {
	text, now := told(err).Error(), p.cfg.clock.Now()
	key := msg + numbers.ReplaceAllString(text, "#")
	p.reports.mu.Lock()
	last, known := p.reports.said[key]
	due := !known || now.Sub(last) >= sayEvery
	if due {
		if p.reports.said == nil || len(p.reports.said) >= 100 {
			p.reports.said = make(map[string]time.Time)
		}
		p.reports.said[key] = now
	}
	p.reports.mu.Unlock()
	if due {
		p.cfg.logger.Log(context.Background(), level, msg, "dir", p.dir, "err", text)
	}
}

// sayAnew forgets what was reported: it is over.
func (p *Log) sayAnew() {
	p.reports.mu.Lock()
	defer p.reports.mu.Unlock()
	p.reports.said = nil
}
