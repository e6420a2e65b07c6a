package stream_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
)

// dialRest connects to a server of the push API, by TLS where protos are named.
func dialRest(t *testing.T, protos ...string) net.Conn {
	t.Helper()
	server := httptest.NewUnstartedServer(stream.PushHandler(newHub(t), stream.WithPushBodyTimeout(patience)))
	server.EnableHTTP2 = true
	if len(protos) > 0 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	if len(protos) > 0 {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: protos})
	}
	return c
}

// What is wrong with a push reaches a client that sends all of it before it reads, however
// early it was known, and the connection is good for the next request.
func TestAnswersReachWhoSendsAllFirst(t *testing.T) {
	for name, c := range map[string]struct {
		protos  []string
		head    string
		size    int
		chunked bool
		status  int
	}{
		"type":                {nil, "Content-Type: text/plain\r\n", 8 << 20, false, 415},
		"type over TLS":       {[]string{"http/1.1"}, "Content-Type: text/plain\r\n", 8 << 20, false, 415},
		"too large":           {nil, "Content-Type: application/json\r\n", 32 << 20, false, 413},
		"too large over TLS":  {[]string{"http/1.1"}, "Content-Type: application/json\r\n", 32 << 20, false, 413},
		"too large, chunked":  {nil, "Content-Type: application/json\r\n", 32 << 20, true, 413},
		"of unknown encoding": {nil, "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 8 << 20, true, 415},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialRest(t, c.protos...)
			body := bytes.Repeat([]byte{' '}, c.size)
			length := fmt.Sprintf("Content-Length: %d\r\n\r\n", c.size)
			if c.chunked {
				length = "Transfer-Encoding: chunked\r\n\r\n"
				body = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", c.size, body)
			}
			read := bufio.NewReader(conn)
			for range 2 {
				_, err := io.WriteString(conn, "POST /push HTTP/1.1\r\nHost: x\r\n"+c.head+length)
				require.NoError(t, err)
				_, err = conn.Write(body)
				require.NoError(t, err, "nothing breaks while it is sent")
				resp, err := http.ReadResponse(read, nil)
				require.NoError(t, err)
				require.Equal(t, c.status, resp.StatusCode)
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Contains(t, string(text), fmt.Sprint(c.status))
				if resp.Close {
					break
				}
			}
		})
	}
}

// Who waits for the answer before it sends the rest is answered, whatever the time for
// bodies: over HTTP/2, where clients stop sending when the answer begins, and over HTTP/1.
func TestWhoWaitsForTheAnswerGetsIt(t *testing.T) {
	for name, protos := range map[string][]string{"HTTP/1": {"http/1.1"}, "HTTP/2": {"h2"}} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(stream.PushHandler(newHub(t), stream.WithPushBodyTimeout(10*patience)))
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			client := &http.Client{Transport: &http.Transport{
				ForceAttemptHTTP2: protos[0] == "h2",
				TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, NextProtos: protos},
			}, Timeout: patience}
			t.Cleanup(client.CloseIdleConnections)
			body, more := io.Pipe()
			t.Cleanup(func() { more.Close() })
			go func() { _, _ = more.Write([]byte("{")) }()
			req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, body)
			require.NoError(t, err)
			req.Header.Set("Content-Type", "text/plain")
			resp, err := client.Do(req)
			require.NoError(t, err)
			require.Equal(t, 415, resp.StatusCode)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Contains(t, string(text), "415")
			require.NoError(t, resp.Body.Close())
		})
	}
}

// What is left of a body is not read for ever, nor where the client is to come back with
// all of it, and not where it waits for a word before it sends.
func TestTheRestIsBounded(t *testing.T) {
	var status int
	left := make(chan int, 1)
	h := stream.ReadRest(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream.WriteError(w, &stream.Error{Status: status, Message: "no"})
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &countedBody{ReadCloser: r.Body}
		r.Body = body
		h.ServeHTTP(w, r)
		left <- body.n
	}))
	defer server.Close()
	for _, c := range []struct {
		status int
		head   string
		most   int
	}{
		{415, "Transfer-Encoding: chunked\r\n\r\n", 64 << 20},
		{415, "Content-Length: 70000000\r\n\r\n", 0},
		{503, "Transfer-Encoding: chunked\r\n\r\n", 0},
		{415, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", 0},
	} {
		status = c.status
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		go func() {
			part := fmt.Appendf(nil, "%x\r\n%s\r\n", 1<<16, make([]byte, 1<<16))
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+c.head); err != nil {
				return
			}
			for err := error(nil); err == nil; {
				_, err = conn.Write(part)
			}
		}()
		require.Equal(t, c.most, <-left, c)
		conn.Close()
	}
}

// Over HTTP/2 nothing is read: its clients stop when the answer comes.
func TestNoRestOverHTTP2(t *testing.T) {
	left := make(chan int, 1)
	h := stream.ReadRest(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream.WriteError(w, &stream.Error{Status: http.StatusUnsupportedMediaType, Message: "no"})
	}))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &countedBody{ReadCloser: r.Body}
		r.Body = body
		h.ServeHTTP(w, r)
		left <- body.n
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	body, more := io.Pipe()
	defer more.Close()
	go func() { _, _ = more.Write([]byte("{")) }()
	req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, body)
	require.NoError(t, err)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 2, resp.ProtoMajor)
	require.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode)
	require.Zero(t, <-left)
}

type countedBody struct {
	io.ReadCloser
	n int
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += n
	return n, err
}
