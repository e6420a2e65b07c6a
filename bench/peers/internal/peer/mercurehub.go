//go:build linux

package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/dunglas/mercure"
	"github.com/golang-jwt/jwt/v5"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/internal/others"
	"github.com/spatehub/spate/loadtest/stamp"
)

// mercureVar holds, in the environment of the process that serves Mercure's hub over HTTP, what it is made for.
const mercureVar = "SPATETEST_BENCH_MERCURE"

// mercureKey signs the publisher's token.
const mercureKey = "a-secret-of-32-bytes-or-more-...."

// mercureSetup is the process's part.
type mercureSetup struct {
	Port int
	server.Options
}

// Main is a process that this program starts of itself to serve Mercure's hub; elsewhere it returns at once. Call it first
// in main or TestMain.
func Main() {
	text := os.Getenv(mercureVar)
	if text == "" {
		return
	}
	var s mercureSetup
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.serve()
	}
	fmt.Fprintln(os.Stderr, "mercure:", err)
	os.Exit(1)
}

// serve is Mercure's hub behind net/http, its API for publishers included. The server that the project itself ships is
// this hub within Caddy.
func (s *mercureSetup) serve() error {
	options, err := mercureOptions(s.Options)
	if err != nil {
		return err
	}
	hub, err := mercure.NewHub(context.Background(), append(options, mercure.WithPublisherJWT([]byte(mercureKey), "HS256"))...)
	if err != nil {
		return err
	}
	srv := &http.Server{Addr: fmt.Sprintf(":%d", s.Port), Handler: coded(s.Options, hub), ErrorLog: log.New(io.Discard, "", 0)}
	if s.TLS {
		cert, key := certificate(s.Options)
		return srv.ListenAndServeTLS(cert, key)
	}
	return srv.ListenAndServe()
}

// mercureOptions switch off what costs a timer or a deadline for each event. History is kept in Bolt, which is the one
// transport of Mercure that has some.
func mercureOptions(o server.Options) ([]mercure.Option, error) {
	quiet := slog.New(slog.DiscardHandler)
	list := []mercure.Option{
		mercure.WithAnonymous(), mercure.WithLogger(quiet), mercure.WithWriteTimeout(0), mercure.WithDispatchTimeout(0), mercure.WithHeartbeat(0),
	}
	if o.History {
		store, err := mercure.NewBoltTransport(mercure.NewSubscriberList(1000), quiet, filepath.Join(o.Dir, "mercure.db"), "", 0, 0)
		if err != nil {
			return nil, err
		}
		list = append(list, mercure.WithTransport(store))
	}
	return list, nil
}

func newMercureHub(o server.Options) (server.Server, error) {
	port, err := others.FreePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(mercureSetup{port, o})
	if err != nil {
		return nil, err
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"mercure": object{"publish": []string{"*"}}}).SignedString([]byte(mercureKey))
	if err != nil {
		return nil, err
	}
	return start(o, port, program{
		name: self, env: []string{mercureVar + "=" + string(text)},
		api: api{
			head:  "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Bearer " + token + "\r\n",
			batch: 1, path: fixed(mercurePath),
			body: func(dst []byte, list []posted) []byte {
				return append(append(append(append(dst, "type=message&topic="...), channelOf(list[0].kind, list[0].index)...), "&data="...),
					url.QueryEscape(string(list[0].data))...)
			},
		},
		path:     func(kind stamp.Kind) string { return mercurePath + "?topic=" + channelParameter(kind) },
		position: func(answer []byte) string { return string(answer) }, // the update's ID
	})
}

const mercurePath = "/.well-known/mercure"
