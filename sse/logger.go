package sse

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"sync"
)

// Logger is what *slog.Logger (F is any) and *zap.Logger (F is zap.Field) have in
// common. It takes the latter without this package linking zap.
type Logger[F any] interface {
	Info(msg string, fields ...F)
	Warn(msg string, fields ...F)
	Error(msg string, fields ...F)
}

// isNil reports whether an interface holds nothing, or a nil pointer.
func isNil(l any) bool {
	if l == nil {
		return true
	}
	v := reflect.ValueOf(l)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// slogOf returns a slog.Logger that logs to l: itself, where it is one.
func slogOf[F any](l Logger[F]) *slog.Logger {
	if s, ok := any(l).(*slog.Logger); ok {
		return s
	}
	return slog.New(newHandler(l))
}

// handler writes each record as one message, attributes in slog's text form, to
// a logger whose fields it does not know.
type handler[F any] struct {
	to    Logger[F]
	lines *lines
	text  slog.Handler // writes into lines
}

// lines is what a handler and those made from it write into, one at a time.
type lines struct {
	sync.Mutex
	buf bytes.Buffer
}

func newHandler[F any](to Logger[F]) *handler[F] {
	out := &lines{}
	text := slog.NewTextHandler(&out.buf, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{} // the logger's own
			}
			return a
		},
	})
	return &handler[F]{to: to, lines: out, text: text}
}

// Enabled implements [slog.Handler].
func (h *handler[F]) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

// Handle implements [slog.Handler].
func (h *handler[F]) Handle(ctx context.Context, r slog.Record) error {
	h.lines.Lock()
	h.lines.buf.Reset()
	err := h.text.Handle(ctx, r)
	attrs := strings.TrimSpace(h.lines.buf.String())
	h.lines.Unlock()
	if err != nil {
		return err
	}
	msg := r.Message
	if attrs != "" {
		msg += " " + attrs
	}
	switch {
	case r.Level >= slog.LevelError:
		h.to.Error(msg)
	case r.Level >= slog.LevelWarn:
		h.to.Warn(msg)
	default:
		h.to.Info(msg)
	}
	return nil
}

// WithAttrs implements [slog.Handler].
func (h *handler[F]) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler[F]{to: h.to, lines: h.lines, text: h.text.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h *handler[F]) WithGroup(name string) slog.Handler {
	return &handler[F]{to: h.to, lines: h.lines, text: h.text.WithGroup(name)}
}
