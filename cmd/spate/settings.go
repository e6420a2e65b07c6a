package main

import (
	"flag"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
)

// setting is one setting as GET /settings tells it.
type setting struct {
	Name   string `json:"name"`
	Value  any    `json:"value"`  // a text, a list of texts or a boolean; null: says nothing
	Origin string `json:"origin"` // "default", "flag", the variable, or the line of the file
	Given  bool   `json:"given"`  // something set it: it is no default
	Hidden bool   `json:"hidden"` // a secret, which is not shown
}

// settingsBoard shows the settings in force, which may change while the hub runs.
type settingsBoard struct{ all atomic.Pointer[[]setting] }

func newSettingsBoard(fs *flagSet) *settingsBoard {
	b := &settingsBoard{}
	shown := fs.shown()
	b.all.Store(&shown)
	return b
}

// replace takes the named settings from fs. One goroutine at a time.
func (b *settingsBoard) replace(fs *flagSet, names []string) {
	now := map[string]setting{}
	for _, s := range *b.all.Load() {
		now[s.Name] = s
	}
	for _, s := range fs.shown() {
		if slices.Contains(names, s.Name) {
			now[s.Name] = s
		}
	}
	shown := make([]setting, 0, len(now))
	for _, name := range slices.Sorted(maps.Keys(now)) {
		shown = append(shown, now[name])
	}
	b.all.Store(&shown)
}

func (b *settingsBoard) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string][]setting{"settings": *b.all.Load()})
}

// shown is all settings but what a file with settings cannot say, by name.
func (fs *flagSet) shown() (all []setting) {
	fs.VisitAll(func(f *flag.Flag) {
		if slices.Contains(notInFile, f.Name) {
			return
		}
		value, secret := settingValue(f)
		all = append(all, setting{f.Name, value, fs.set[f.Name].String(), fs.given(f.Name), secret && value != nil})
	})
	return all
}

// settingValue is what a setting says, as it may be shown; nil: nothing.
func settingValue(f *flag.Flag) (value any, secret bool) {
	value = f.Value.String()
	list, isList := f.Value.(listed)
	servers, areServers := f.Value.(*serversValue)
	_, secret = f.Value.(*secretValue)
	switch {
	case isList && len(list.items()) == 0, value == "":
		return nil, secret
	case secret:
		return hidden, true
	case areServers:
		return servers.shown(), false
	case isList:
		value = list.items()
	case isSwitch(f.Value):
		value = f.Value.String() == "true"
	}
	return withoutPasswords(value), false
}
