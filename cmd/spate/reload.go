package main

import (
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"

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
	"max-requests-address", "tls-client-name", "tls-client-rights", "token-file",
}

// reloader puts settings in force that have changed while the hub runs.
type reloader struct {
	s       streams
	args    []string
	log     *slog.Logger
	level   *slog.LevelVar
	access  *access
	tls     *tlsfile.Config   // nil: none
	inForce map[string]string // settings by name
	board   *settingsBoard
}

func newReloader(s streams, args []string, c *serveConfig, log *slog.Logger, level *slog.LevelVar, a *access, t *tlsfile.Config, board *settingsBoard) *reloader {
	return &reloader{s, args, log, level, a, t, c.settings.texts(), board}
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
	if r.tls != nil {
		if err := r.tls.Reload(); err != nil {
			r.refuse(err.Error())
			return
		}
	}
	if err := r.access.configure(c, r.keyTrouble); err != nil {
		r.refuse(strings.Split(err.Error(), "\n")...)
		return
	}
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
	r.board.replace(c.settings, reloadable)
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
