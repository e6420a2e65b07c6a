// Command chat is a room that shows who is in it: the hub tells when the first connection of a user is there and when the last has
// gone, and what was said is there for who comes later.
//
//	go run ./examples/chat -listen 127.0.0.1:8080     and open http://127.0.0.1:8080/#ann and http://127.0.0.1:8080/#bob
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

const (
	room     = "room"
	presence = "room.presence"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	if err := run(*listen); err != nil {
		log.Fatal(err)
	}
}

func run(listen string) error {
	hub := engine.NewHub(engine.WithLog(persist.NewMemory(persist.WithRetention(persist.Retention{MaxCount: 1000}))),
		engine.WithEnableResendEvents(), engine.WithPresence(presence))
	defer hub.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	// A real program takes the name from a session, here and in say.
	mux.Handle("GET /room", stream.Handler(hub, func(r *http.Request) (string, []string, error) {
		name := r.URL.Query().Get("name")
		if name == "" {
			return "", nil, &stream.Error{Status: http.StatusBadRequest, Field: "name", Message: "say who you are"}
		}
		return name, []string{room, presence}, nil
	}))
	mux.HandleFunc("POST /say", func(w http.ResponseWriter, r *http.Request) { say(hub, w, r) })
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) { who(hub, w, r) })

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	return http.Serve(listener, mux)
}

func say(hub *engine.Hub, w http.ResponseWriter, r *http.Request) {
	name, text := r.FormValue("name"), r.FormValue("text")
	if name == "" || text == "" {
		http.Error(w, "name and text", http.StatusBadRequest)
		return
	}
	if err := hub.Push(nil, &wire.Event{Event: "said", Topic: room, Data: map[string]string{"name": name, "text": text}}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// who lists the users who are there now. Pages ask when they are told that it has changed.
func who(hub *engine.Hub, w http.ResponseWriter, r *http.Request) {
	users, _, err := hub.Users(r.Context(), "", 100)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	names := []string{}
	for _, u := range users {
		names = append(names, u.UID)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(names)
}

const page = `<!doctype html><meta charset="utf-8"><title>chat</title>
<p>Here: <b id="here"></b></p><ul id="said"></ul><form><input name="text" size="60" autofocus><button>Say</button></form>
<script>
const name = location.hash.slice(1) || "guest"
const source = new EventSource("/room?last_event_id=earliest&name=" + encodeURIComponent(name))
source.addEventListener("said", e => {
  const {name, text} = JSON.parse(e.data)
  const line = document.createElement("li")
  line.textContent = name + ": " + text
  document.getElementById("said").append(line)
})
let asked
function ask() {                                   // once for many who come at a time
  clearTimeout(asked)
  asked = setTimeout(async () => here.textContent = (await (await fetch("/who")).json()).join(", "), 100)
}
for (const type of ["join", "leave", "reset"]) source.addEventListener(type, ask)
document.forms[0].onsubmit = e => {
  e.preventDefault()
  fetch("/say", {method: "POST", body: new URLSearchParams({name, text: e.target.text.value})})
  e.target.reset()
}
</script>`
