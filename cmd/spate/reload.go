package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/tlsfile"
)

// reloadable are the settings that a running hub takes over; the others need a restart. What is in the files that
// settings name (keys, tokens, rights, certificates) is read anew each time, and whenever it changes.
var reloadable = []string{
	"anonymous", "cors-credentials", "cors-origin", "log-level",
	"jwt-any-audience", "jwt-audience", "jwt-issuer", "jwt-jwks-url", "jwt-key-file", "jwt-no-expiry", "jwt-rights", "jwt-rights-claim",
	"jwt-secret", "jwt-secret-file", "jwt-skew", "jwt-user-claim",
	"max-connections", "max-connections-address", "max-connections-user", "max-connects", "max-connects-address", "max-connects-user",
	"max-push-bytes", "max-push-bytes-address", "max-push-bytes-user", "max-push-events", "max-push-events-address", "max-push-events-user",
	"max-catch-up-bytes", "max-requests-address", "retain-age", "retain-bytes", "retain-count", "retain-topic", "tls-client-name", "tls-client-rights", "token-file",
}

// reloader puts settings in force that have changed while the hub runs.
type reloader struct {
	s       streams
	args    []string
	log     *slog.Logger
	level   *slog.LevelVar
	access  *access
	hub     *engine.Hub
	keeper  *keeper
	tls     *tlsfile.Config   // nil: none
	inForce map[string]string // settings by name
}

// keeper sets the retention of the log, which may take as long as the disk does: nothing waits for it. The last one that
// was asked for counts.
type keeper struct {
	store  persist.Retainer
	log    *slog.Logger
	wanted chan persist.Retention
}

func newKeeper(store persist.Retainer, log *slog.Logger) *keeper {
	return &keeper{store, log, make(chan persist.Retention, 1)}
}

// set is for one caller at a time.
func (k *keeper) set(r persist.Retention) {
	select {
	case <-k.wanted:
	default:
	}
	k.wanted <- r
}

// run works until ctx ends.
func (k *keeper) run(ctx context.Context) {
	for {
		select {
		case r := <-k.wanted:
			if err := k.store.SetRetention(r); err != nil {
				k.log.Error("retention stays as it was", "why", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// reload reads flags, environment and file again. What is wrong leaves everything as it was.
func (r *reloader) reload() {
	c, err := readServe(r.s, r.args)
	if err != nil {
		return // the help text was asked for, and no hub would run
	}
	if len(c.settings.wrong) > 0 {
		r.refuse(c.settings.wrong...)
		return
	}
	if c.access.on() == r.access.open {
		r.refuse("whether the hub asks for credentials can't be changed without a restart")
		return
	}
	change, err := r.access.prepare(c, r.keyTrouble)
	if err != nil {
		r.refuse(strings.Split(err.Error(), "\n")...)
		return
	}
	if r.tls != nil {
		if err := r.tls.Reload(); err != nil {
			change.drop()
			r.refuse(err.Error())
			return
		}
	}
	change.enforce()
	r.hub.SetCatchUpRate(int(c.limits.catchUp))
	r.keeper.set(c.logRetention())
	r.level.Set(c.logLevel)
	r.tell(c)
}

// refuse says why a reload changes nothing.
func (r *reloader) refuse(why ...string) {
	for _, text := range why {
		r.log.Error("the settings stay as they were", "why", text)
	}
}

// keyTrouble is told what goes wrong with keys and tokens while the hub runs.
func (r *reloader) keyTrouble(err error) {
	r.log.Error("keys, tokens and certificates stay as they were", "why", err)
}

// tell says what has changed, and what takes a restart.
func (r *reloader) tell(c *serveConfig) {
	now := c.settings.texts()
	var changed, later []string
	c.settings.VisitAll(func(f *flag.Flag) {
		switch {
		case now[f.Name] == r.inForce[f.Name]:
		case slices.Contains(reloadable, f.Name):
			changed = append(changed, fmt.Sprintf("%s: %s", f.Name, f.Value))
			r.inForce[f.Name] = now[f.Name]
		default:
			later = append(later, f.Name)
		}
	})
	r.log.Info("settings, keys and certificates are read again", "changed", changed)
	if len(later) > 0 {
		r.log.Warn("some settings are others now, which takes a restart; the hub goes on with those that it began with", "settings", later)
	}
}

// texts are the values of all settings, to tell whether they have changed; not to be shown.
func (fs *flagSet) texts() map[string]string {
	all := map[string]string{}
	fs.VisitAll(func(f *flag.Flag) {
		all[f.Name] = f.Value.String()
		if secret, ok := f.Value.(*secretValue); ok {
			all[f.Name] = string(*secret)
		}
	})
	return all
}
