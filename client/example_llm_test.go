package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/spatehub/spate/client"
)

// model stands for a server of a language model: it answers a POST by a stream of
// pieces, which ends with "[DONE]", and fails in the middle of one answer.
func model() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ Prompt string }
		body, _ := io.ReadAll(r.Body)
		switch err := json.Unmarshal(body, &ask); {
		case r.Header.Get("Authorization") != "Bearer key-1":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"title":"Unauthorized","detail":"the key is not known"}`)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": thinking\n\n")
		for _, piece := range []string{"A spate", " is a sudden", " flood."} {
			_, _ = fmt.Fprintf(w, "data: {\"text\":%q}\n\n", piece)
			if ask.Prompt == "fail" {
				_, _ = io.WriteString(w, "event: error\ndata: {\"error\":{\"message\":\"overloaded\"}}\n\n")
				return
			}
		}
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}))
}

// A language model's answer, read to its end: one POST, one loop, and one error
// where something goes wrong on the way.
func ExampleDo() {
	srv := model()
	defer srv.Close()

	answer := func(key, prompt string) (text string, err error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		body, err := json.Marshal(map[string]any{"prompt": prompt, "stream": true})
		if err != nil {
			return "", err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL, bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		for e, err := range client.Do(ctx, req, client.WithEndData("[DONE]")) {
			if err != nil {
				return text, err
			}
			var piece struct{ Text string }
			if err := json.Unmarshal([]byte(e.Data.(string)), &piece); err != nil {
				return text, err
			}
			text += piece.Text
		}
		return text, nil
	}

	text, err := answer("key-1", "what is a spate?")
	fmt.Println(text, err)
	text, err = answer("key-1", "fail")
	fmt.Println(text, "|", errors.Unwrap(err))
	_, err = answer("key-2", "what is a spate?")
	fmt.Println(errors.Unwrap(err))
	// Output:
	// A spate is a sudden flood. <nil>
	// A spate | the server sent an error: overloaded
	// the server answered 401 Unauthorized: Unauthorized: the key is not known
}
