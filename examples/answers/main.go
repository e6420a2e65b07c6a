// Command answers streams a language model's answers to browsers, and an answer survives a reload of the page, a lost
// connection, and a second tab: the program, not the request, owns it. The model here is a stand-in that says words.
//
//	go run ./examples/answers -listen 127.0.0.1:8080     and open http://127.0.0.1:8080/
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	if err := run(*listen); err != nil {
		log.Fatal(err)
	}
}

func run(listen string) error {
	// Answers are kept for an hour; pebblelog.Open in its place keeps them on disk.
	hub := engine.NewHub(engine.WithLog(persist.NewMemory(persist.WithRetention(persist.Retention{MaxAge: time.Hour}))), engine.WithEnableResendEvents())
	defer hub.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	mux.HandleFunc("POST /ask", func(w http.ResponseWriter, r *http.Request) { ask(hub, w, r) })
	// An answer is a topic. A page asks for last_event_id=earliest: all of the answer so far, then what comes. When the
	// browser connects again by itself, it sends the last ID that it has got, and that counts.
	mux.Handle("GET /answers", stream.Handler(hub, func(r *http.Request) (string, []string, error) {
		id := r.URL.Query().Get("answer")
		if id == "" {
			return "", nil, &stream.Error{Status: http.StatusBadRequest, Field: "answer", Message: "name an answer"}
		}
		return "", []string{"answer." + id}, nil // whether this user may read it is checked here
	}))

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	return http.Serve(listener, mux)
}

// ask begins an answer and returns its name at once.
func ask(hub *engine.Hub, w http.ResponseWriter, r *http.Request) {
	question := r.FormValue("q")
	if question == "" {
		http.Error(w, "ask something: q", http.StatusBadRequest)
		return
	}
	id := rand.Text()
	// Not the request's context: the answer goes on when the browser has gone.
	go answer(context.Background(), hub, "answer."+id, question)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"answer": id})
}

// answer pushes each piece as it comes from the model, and how it ended.
func answer(ctx context.Context, hub *engine.Hub, topic, question string) {
	for word := range strings.FieldsSeq("You asked: " + question + ". This is an answer that takes its time, word by word.") {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
		if err := hub.Push(nil, &wire.Event{Event: "token", Topic: topic, Data: word + " "}); err != nil {
			log.Print(err) // the hub is closed, or its log is full
			return
		}
	}
	_ = hub.Push(nil, &wire.Event{Event: "done", Topic: topic, Data: "stop"})
}

const page = `<!doctype html><meta charset="utf-8"><title>answers</title>
<form><input name="q" size="60" value="Why is the sky blue?"><button>Ask</button></form><p id="text"></p>
<script>
function follow(id) {
  location.hash = id
  const text = document.getElementById("text")
  text.textContent = ""
  const source = new EventSource("/answers?last_event_id=earliest&answer=" + id)
  source.addEventListener("token", e => text.textContent += e.data)
  source.addEventListener("done", () => source.close())
}
document.forms[0].onsubmit = async e => {
  e.preventDefault()
  const reply = await fetch("/ask", {method: "POST", body: new URLSearchParams(new FormData(e.target))})
  follow((await reply.json()).answer)
}
if (location.hash) follow(location.hash.slice(1))   // a reload
</script>`
