package pebblelog

import (
	"maps"
	"reflect"

	"github.com/spatehub/spate/persist"
)

// SetRetention implements [persist.Retainer]. What narrower bounds no longer allow is
// removed by the keeper of the log, in the background.
//
// It waits until a step of retention, or an attempt to open a failed log anew, has
// ended, and for the disk if that does. Appends wait while it reads the numbers of the
// log's chunks and topics, not its records, but for those of the newest chunk. If other topics have bounds than before,
// retention counts all records by topic before it removes any by the new bounds of
// topics, which reads the whole log, beside everything else.
//
// A log that has failed takes the bounds as well, and keeps them when it works again.
func (p *Log) SetRetention(r persist.Retention) error {
	if err := persist.CheckRetention(r); err != nil {
		return err
	}
	r.Topics = maps.Clone(r.Topics)
	p.changing.Add(1)
	p.maint.Lock()
	p.changing.Add(-1)
	defer p.wake() // also for what was interrupted
	defer p.maint.Unlock()
	p.appending.Lock()
	defer p.appending.Unlock()
	switch {
	case p.closed:
		return persist.ErrClosed
	case reflect.DeepEqual(r, p.cfg.retention):
		return nil
	case p.gen.fence.err() != nil:
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.cfg.retention.SameTopics(&r) {
			p.mu.floors.Rebound()
			p.mu.told.Rebound()
		}
		p.cfg.retention = r // the state that healing builds goes by it
		return nil
	}
	cfg := p.cfg
	cfg.retention = r
	st, _, err := load(p.gen, &cfg)
	if err != nil {
		return readError(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.cfg.retention.SameTopics(&r) {
		p.mu.told.Rebound()
	}
	p.cfg.retention = r
	st.retention = &p.cfg.retention
	st.first = p.mu.first // load finds also what is not acknowledged yet
	st.keepDates(&p.mu.chunkList)
	p.mu.state = st
	return nil
}

var _ persist.Retainer = (*Log)(nil)
