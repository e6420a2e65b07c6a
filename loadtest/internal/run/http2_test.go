package run_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/config"
)

// Over HTTP/2, with and without TLS, there are as many connections as are asked for,
// and as many connect times.
func TestStreamsPerConnection(t *testing.T) {
	for _, tls := range []bool{true, false} {
		for per, want := range map[int]int{0: 1, 1: 10, 4: 3} {
			var opened atomic.Int64
			var http2 atomic.Int64
			cal := calibrate.New(calibrate.Faults{})
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor == 2 {
					http2.Add(1)
				}
				if strings.HasPrefix(r.URL.Path, "/events") {
					opened.Add(1)
				}
				cal.ServeHTTP(w, r)
			}))
			var connections atomic.Int64
			srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			srv.EnableHTTP2 = true
			c := quick()
			if tls {
				srv.StartTLS()
				c.CACert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
			} else {
				srv.Config.Protocols = new(http.Protocols)
				srv.Config.Protocols.SetHTTP1(true)
				srv.Config.Protocols.SetUnencryptedHTTP2(true)
				srv.Start()
			}
			c.URL, c.Mode, c.HTTP2, c.PerConn, c.Try, c.Connections = srv.URL, config.ModePortable, true, per, false, 1
			r := conduct(t, c)
			srv.Close()
			require.EqualValues(t, 2000, r.Deliveries.Count)
			require.EqualValues(t, 10, opened.Load())
			require.GreaterOrEqual(t, http2.Load(), int64(10))
			require.EqualValues(t, want, r.Connect.Count, "tls %t, %d streams per connection", tls, per)
			require.EqualValues(t, want+1, connections.Load(), "and one that publishes")
		}
	}
}
