package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// ask is a request to the server, whose body can be sent again.
func (s *server) ask(t *testing.T, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(body))
	require.NoError(t, err)
	return req
}

func collectDo(ctx context.Context, s *server, t *testing.T, opts ...client.Option) (got []string, err error) {
	t.Helper()
	for e, e2 := range client.Do(ctx, s.ask(t, "hi"), append([]client.Option{client.WithHTTPClient(s.client)}, opts...)...) {
		if e2 != nil {
			require.NoError(t, err, "there is one error")
			err = e2
			continue
		}
		require.NoError(t, err, "the error comes last")
		got = append(got, e.Event+" "+e.Data.(string))
	}
	return got, err
}

// A finite stream ends where the server ends it, or by its mark, and everything
// else is an error; there is one request, whatever happens.
func TestDo(t *testing.T) {
	cut := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			write(w, text)
			panic(http.ErrAbortHandler)
		}
	}
	done := client.WithEndData("[DONE]")
	stop := client.WithEnd(func(e *wire.Event) bool { return e.Event == "message_stop" })
	for name, tc := range map[string]struct {
		turn http.HandlerFunc
		opts []client.Option
		want []string
		err  string // "" for none
		is   error
	}{
		"the server ends":            {stream("data: a\n\ndata: b\n\n"), nil, []string{"message a", "message b"}, "", nil},
		"no event":                   {stream(""), nil, nil, "", nil},
		"comments only":              {stream(": spate\nretry: 3000\n"), nil, nil, "", nil},
		"mark":                       {streamAndStay("data: a\n\ndata: [DONE]\n\ndata: b\n\n"), []client.Option{done}, []string{"message a"}, "", nil},
		"predicate":                  {streamAndStay("data: a\n\nevent: message_stop\ndata: {}\n\n"), []client.Option{stop}, []string{"message a", "message_stop {}"}, "", nil},
		"end before the mark":        {stream("data: a\n\n"), []client.Option{done}, []string{"message a"}, "cut", client.ErrCut},
		"end before the predicate":   {stream("data: a\n\n"), []client.Option{stop}, []string{"message a"}, "cut", client.ErrCut},
		"end in the middle":          {stream("data: a\n\ndata: b\n"), nil, []string{"message a"}, "cut", client.ErrCut},
		"end in a line":              {stream("data: a\n\nda"), nil, []string{"message a"}, "cut", client.ErrCut},
		"broken between two events":  {cut("data: a\n\n"), nil, []string{"message a"}, "unexpected EOF", io.ErrUnexpectedEOF},
		"error event":                {streamAndStay("data: a\n\nevent: error\ndata: {\"error\":{\"message\":\"overloaded\"}}\n\n"), nil, []string{"message a"}, "the server sent an error: overloaded", nil},
		"error event of text":        {streamAndStay("event: error\ndata: out of\ndata: memory\n\n"), nil, nil, "the server sent an error: out of memory", nil},
		"a hub's word":               {stream("data: a\n\nevent: disconnect\ndata: {\"reason\":\"closed\"}\n\n"), nil, []string{"message a"}, "ended the stream: closed", nil},
		"too large":                  {streamAndStay("data: a\n\ndata: " + strings.Repeat("x", 100) + "\n\n"), []client.Option{client.WithMaxEventSize(99)}, []string{"message a"}, "larger", wire.ErrEventTooLarge},
		"no stream":                  {status(200, "Content-Type", "application/json"), nil, nil, "not text/event-stream", client.ErrContentType},
		"no content":                 {status(204), nil, nil, "204 No Content", nil},
		"unavailable is not retried": {status(503, "Retry-After", "1"), nil, nil, "503 Service Unavailable", nil},
		"silence":                    {streamAndStay("data: a\n\n"), []client.Option{client.WithIdleTimeout(time.Minute)}, []string{"message a"}, "idle", client.ErrIdle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, tc.turn)
				got, err := collectDo(t.Context(), srv, t, tc.opts...)
				require.Equal(t, tc.want, got)
				if tc.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, tc.err)
					require.ErrorContains(t, err, "client: http://hub.test/events: ")
				}
				if tc.is != nil {
					require.ErrorIs(t, err, tc.is)
				}
				require.Len(t, srv.got(), 1)
				synctest.Wait()
				require.Zero(t, srv.streams())
			})
		})
	}
}

// Read takes a response that somebody else has asked for, ends with that request's
// context, and closes the body in every case.
func TestRead(t *testing.T) {
	ask := func(t *testing.T, ctx context.Context, turn http.HandlerFunc, opts ...client.Option) (got []string, err error) {
		srv := newServer(t, turn)
		closed := srv.watchBody(func() {})
		resp, err := srv.client.Do(srv.ask(t, "hi").WithContext(ctx))
		require.NoError(t, err)
		for e, e2 := range client.Read(resp, opts...) {
			if err = e2; e2 == nil {
				got = append(got, e.Data.(string))
			}
		}
		synctest.Wait()
		require.EqualValues(t, 1, closed.Load())
		require.Zero(t, srv.streams())
		return got, err
	}
	run := func(f func(t *testing.T)) { synctest.Test(t, f) }
	run(func(t *testing.T) {
		got, err := ask(t, t.Context(), streamAndStay("data: a\n\ndata: [DONE]\n\n"), client.WithEndData("[DONE]"))
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, got)
	})
	run(func(t *testing.T) {
		got, err := ask(t, t.Context(), stream("data: a\n\ndata"))
		require.ErrorIs(t, err, client.ErrCut)
		require.ErrorContains(t, err, "client: http://hub.test/events: ")
		require.Equal(t, []string{"a"}, got)
	})
	run(func(t *testing.T) {
		_, err := ask(t, t.Context(), status(401))
		wantStatus(t, 401, err)
	})
	run(func(t *testing.T) {
		_, err := ask(t, t.Context(), streamAndStay(""), client.WithIdleTimeout(time.Minute))
		require.ErrorIs(t, err, client.ErrIdle)
	})
	run(func(t *testing.T) {
		_, err := ask(t, t.Context(), streamAndStay(""), client.WithMaxTries(1))
		require.ErrorContains(t, err, "WithMaxTries has no meaning")
	})
	run(func(t *testing.T) {
		errEnough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errEnough)
		defer cancel()
		_, err := ask(t, ctx, streamAndStay("data: a\n\n"))
		require.ErrorIs(t, err, errEnough)
	})
}

// An answer that is no stream can be read all the same: a short one of MCP, or an
// error under a status of success.
func TestAnswerThatIsNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const body = `{"error":{"message":"no such model"}}`
		_, err := collectDo(t.Context(), newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}), t)
		var answer *client.ContentTypeError
		require.ErrorAs(t, err, &answer)
		require.Equal(t, body, string(answer.Body))
		require.Equal(t, "application/json", answer.ContentType)
		require.ErrorContains(t, err, `not text/event-stream but "application/json": no such model`)
	})
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errEnough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 24*time.Hour, errEnough)
		defer cancel()
		srv := newServer(t, streamAndStay("data: a\n\n"))
		got, err := collectDo(ctx, srv, t)
		require.Equal(t, []string{"message a"}, got)
		require.ErrorIs(t, err, errEnough, "and not before: it waits for a day without a word")
		synctest.Wait()
		require.Zero(t, srv.streams())
	})
}

// A loop that is left closes the connection, and a second loop asks again.
func TestDoLeftAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		srv := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(text))
			streamAndStay("data: a\n\ndata: b\n\n")(w, r)
		})
		seq := client.DoRaw(t.Context(), srv.ask(t, "hi"), client.WithHTTPClient(srv.client))
		for range 2 {
			for raw, err := range seq {
				require.NoError(t, err)
				require.Equal(t, "a", string(raw.Data))
				break
			}
			synctest.Wait()
			require.Zero(t, srv.streams())
		}
		require.Equal(t, []string{"hi", "hi"}, bodies)
	})
}

// A body that can be sent only once is not sent as nothing the second time.
func TestDoAgainWithoutItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("data: a\n\n"))
		req := srv.ask(t, "hi")
		req.GetBody, req.ContentLength = nil, -1
		seq := client.Do(t.Context(), req, client.WithHTTPClient(srv.client))
		for _, err := range seq {
			require.NoError(t, err)
		}
		for _, err := range seq {
			require.ErrorContains(t, err, "needs a GetBody")
		}
		require.Len(t, srv.got(), 1)
	})
}
