package sse_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/sse"
)

// field and fieldLogger are of zap's form, whose Logger takes fields of its own type.
type field struct{}

type fieldLogger struct {
	mu    sync.Mutex
	lines []string
}

func (l *fieldLogger) log(level, msg string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, level+" "+msg)
}
func (l *fieldLogger) Info(msg string, _ ...field)  { l.log("info", msg) }
func (l *fieldLogger) Warn(msg string, _ ...field)  { l.log("warn", msg) }
func (l *fieldLogger) Error(msg string, _ ...field) { l.log("error", msg) }

// What the hub logs reaches a logger of zap's form whole: level, message, attributes.
func TestLoggerWithFields(t *testing.T) {
	l := &fieldLogger{}
	hub := sse.NewHub(sse.WithLogger(l), sse.WithChanBufferSize(1))
	hub.PrintPushStats()
	hub.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Join(l.lines, "\n")
	require.Contains(t, text, `warn spate: setting out of range, corrected setting="ring size" given=1 used=16`)
	require.Contains(t, text, "info spate: push stats events=0")
}

// A nil logger of whatever type is no logger.
func TestNilLogger(t *testing.T) {
	for _, o := range []sse.HubOption{sse.WithLogger[field]((*fieldLogger)(nil)), sse.WithLogger((*slog.Logger)(nil)), sse.WithLogger[any](nil)} {
		sse.NewHub(o, sse.WithChanBufferSize(16)).Close()
	}
}
