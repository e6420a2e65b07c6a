package clustertest

import (
	"context"
	"maps"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/wire"
)

var _ cluster.Registry = (*Port)(nil)

// Value implements cluster.Registry.
func (p *Port) Value(ctx context.Context, name string) (cluster.Value, error) {
	if err := p.reach(ctx); err != nil {
		return cluster.Value{}, err
	}
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.trimLocked()
	stale := p.f.chance(p.failures.Stale)
	v := cluster.Value{Name: name}
	for _, one := range p.f.changes {
		if one.Name == name && (one.Version < p.f.values[name].Version || !stale) {
			v = one
		}
	}
	return v, nil
}

// Change implements cluster.Registry.
func (p *Port) Change(ctx context.Context, name string, version uint64, data []byte, events []*wire.Event) error {
	return p.submit(ctx, func() error {
		f := p.f
		f.trimLocked()
		if f.values[name].Version != version {
			return cluster.ErrChanged
		}
		f.last++
		v := cluster.Value{Name: name, Version: f.last, Data: data}
		f.values[name], f.changes = v, append(f.changes, v)
		f.commitLocked("", nil, events)
		return nil
	})
}

// Values implements cluster.Registry.
func (p *Port) Values(ctx context.Context, fn func(cluster.Value) error) error {
	if err := p.reach(ctx); err != nil {
		return err
	}
	p.f.mu.Lock()
	p.f.trimLocked()
	values := p.f.changes[:len(p.f.changes):len(p.f.changes)]
	p.f.mu.Unlock()
	for _, v := range values {
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}

// Kept implements cluster.Registry.
func (p *Port) Kept() cluster.Kept {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.trimLocked()
	return cluster.Kept{Oldest: p.f.floor + 1, Newest: p.f.last, Bounded: p.f.bound.ids > 0, Age: p.f.bound.age}
}

var _ cluster.Board = (*Port)(nil)

// post is what is on the board under a key.
type post struct {
	text  []byte
	until time.Time
}

// Post implements cluster.Board.
func (p *Port) Post(ctx context.Context, key string, text []byte, until time.Time) error {
	return p.submit(ctx, func() error {
		p.f.posted[key] = post{text, until}
		return nil
	})
}

// Posted implements cluster.Board.
func (p *Port) Posted(ctx context.Context, fn func(key string, text []byte) error) error {
	if err := p.reach(ctx); err != nil {
		return err
	}
	p.f.mu.Lock()
	all := maps.Clone(p.f.posted)
	p.f.mu.Unlock()
	for key, one := range all {
		if !one.until.IsZero() && !time.Now().Before(one.until) {
			continue
		}
		if err := fn(key, one.text); err != nil {
			return err
		}
	}
	return nil
}
