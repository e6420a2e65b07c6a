// Package procs spreads a run's streams over worker processes, because the
// number of files a process may have open, and what one event loop can read,
// are limited. A worker is this same program started again; it is told what to
// do by calls over its standard input and output, and shares the ledger of
// issued numbers through memory.
package procs

import (
	"context"
	"time"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/portable"
	"github.com/spatehub/spate/loadtest/internal/rawreader"
)

// Open makes the fleet of a part in this process.
func Open(p *fleet.Part) (fleet.Fleet, error) {
	longest := p.Config.RampTimeout + time.Duration(p.Len())*time.Second/10
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	if err := portable.Login(ctx, p.Config, p.Adapter, p.From, p.To); err != nil {
		return nil, err
	}
	addrs, err := fleet.NewAddresses(p.Config)
	if err != nil {
		return nil, err
	}
	var tr fleet.Transport
	if p.Config.Mode == config.ModeRaw {
		tr, err = rawreader.New(p, addrs)
	} else {
		tr, err = portable.New(p, addrs)
	}
	if err != nil {
		return nil, err
	}
	f, err := fleet.NewLocal(p, tr)
	if err != nil {
		tr.Close()
		return nil, err
	}
	return f, nil
}
