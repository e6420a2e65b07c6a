package proc

import (
	"encoding/json"
	"fmt"
	"os"
)

// Part returns the part that this process was started for, "" in the parent.
func Part() string { return os.Getenv(partVar) }

// Setup decodes what the parent gave to Start.
func Setup(v any) error { return json.Unmarshal([]byte(os.Getenv(setupVar)), v) }

// Requests is the stream of requests, a JSON value a line.
func Requests() *os.File { return os.NewFile(requestFD, "requests") }

// Answers is where the answers go, a JSON value a line, in the order of the requests.
func Answers() *os.File { return os.NewFile(answerFD, "answers") }

// Fault is the answer to a request that failed.
type Fault struct {
	Error string `json:"error"`
}

// Serve answers requests with handle's results until the parent hangs up.
func Serve[R any](handle func(R) (any, error)) error {
	requests := json.NewDecoder(Requests())
	answers := json.NewEncoder(Answers())
	for {
		var r R
		if err := requests.Decode(&r); err != nil {
			return nil // the parent is gone or done
		}
		answer, err := handle(r)
		if err != nil {
			answer = Fault{err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}
