package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/serve/stream"
)

// backupName is what a backup may be called: a plain name, so that whoever may ask for
// one can write into one folder only.
var backupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// backups makes backups of the hub's log, one at a time, in the folder that --backup-dir
// names.
type backups struct {
	dir   string
	log   *pebblelog.Log
	query []string // parameters that the authorizer reads
	one   sync.Mutex
}

type backupReply struct {
	Name   string `json:"name"`
	Folder string `json:"folder"`
}

// serveBackup answers POST /backup?name=NAME; without a name, the time is one.
func (b *backups) serveBackup(w http.ResponseWriter, r *http.Request) {
	query, err := stream.ParseRouteQuery(r, append([]string{"name"}, b.query...), nil)
	if err == nil {
		err = stream.CheckNoBody(r)
	}
	if err != nil {
		stream.WriteError(w, stream.AuthorizerError(err))
		return
	}
	name := query.Get("name")
	if !query.Has("name") {
		name = "spate-" + time.Now().UTC().Format("20060102T150405.000Z")
	}
	if !backupName.MatchString(name) {
		refuse(w, http.StatusBadRequest, "name", "give letters, digits, dots, dashes and underscores, at most 100, beginning with a letter or digit")
		return
	}
	if !b.one.TryLock() {
		refuse(w, http.StatusConflict, "name", "another backup is being made")
		return
	}
	defer b.one.Unlock()
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{}) // a log may be large; writers without deadlines have none to lift
	defer func() { _ = rc.SetWriteDeadline(time.Now().Add(writeTimeout)) }()
	folder := filepath.Join(b.dir, name)
	if err := b.log.Backup(r.Context(), folder); err != nil {
		stream.WriteError(w, backupRefusal(err))
		return
	}
	writeJSON(w, http.StatusOK, backupReply{name, folder})
}

// runLogBackup asks a running hub for a backup, or copies a folder that no hub has open.
func runLogBackup(ctx context.Context, s streams, args []string) error {
	flags := newFlagSet("log backup [--url URL [NAME] | --data DIR TARGET]")
	hub := flags.String("url", "", "`address` of a running hub that was started with --backup-dir, in which the backup is made")
	data := flags.String("data", "", "`folder` of a log that no hub has open; the target is a new folder")
	var auth credentials
	auth.addFlags(flags)
	if err := flags.parse(s, args); err != nil {
		return err
	}
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	switch {
	case flags.contradicts("url", "data") == flags.contradicts("data", "url"):
		return usagef("give either --url or --data")
	case flags.contradicts("data", "url") && (flags.NArg() != 1 || flags.Arg(0) == ""):
		return usagef("give the target, a new folder")
	case flags.contradicts("data", "url"):
		return backupFolder(ctx, s.out, *data, flags.Arg(0))
	case flags.NArg() > 1:
		return usagef("give one name at most")
	case flags.NArg() == 1 && flags.Arg(0) == "":
		return usagef("the name must not be empty: leave it out, and the time is one")
	}
	base, err := hubURL(*hub)
	if err != nil {
		return err
	}
	return askForBackup(ctx, s.out, &auth, base, flags.Arg(0))
}

func backupFolder(ctx context.Context, out io.Writer, dir, target string) error {
	if err := pebblelog.BackupFolder(ctx, dir, target); err != nil {
		return explainTarget(dir, target, err)
	}
	fmt.Fprintln(out, target)
	return nil
}

func askForBackup(ctx context.Context, out io.Writer, auth *credentials, base, name string) error {
	if err := auth.validate(); err != nil {
		return err
	}
	client, err := auth.client()
	if err != nil {
		return err
	}
	address := base + "/backup"
	if name != "" {
		address += "?name=" + url.QueryEscape(name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return err
	}
	auth.set(req)
	res, err := client.Do(req)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w; the hub makes no backup whose request ends", errSignal)
	}
	if err != nil {
		return explainConnect(base, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("the hub's answer broke off, the backup may or may not be made: %w", err)
	}
	switch {
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusMethodNotAllowed:
		return errors.New("the hub makes no backups: start it with --backup-dir and a log on disk")
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("the hub made no backup (%s): %s", res.Status, errorText(text))
	}
	var reply backupReply
	if err := json.Unmarshal(text, &reply); err != nil || reply.Folder == "" {
		return fmt.Errorf("this is no answer of a hub: %.200q", text)
	}
	fmt.Fprintln(out, reply.Folder)
	return nil
}

// backupRefusal is the answer to an error of a backup.
func backupRefusal(err error) *stream.Error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return &stream.Error{Status: http.StatusConflict, Field: "name", Message: "there is a backup of this name already"}
	case errors.Is(err, syscall.ENOSPC):
		return &stream.Error{Status: http.StatusInsufficientStorage, Field: "name", Message: "no space left in the folder of the backups"}
	}
	return &stream.Error{Status: http.StatusInternalServerError, Field: "name", Message: err.Error()}
}
