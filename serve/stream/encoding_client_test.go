package stream_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// A hub that codes its streams is read as any other: each event as it comes, and
// its end for the reason that it tells.
func TestCodedHub(t *testing.T) {
	for _, coding := range []engine.Encoding{new(compress.Gzip), new(compress.Zstd)} {
		t.Run(coding.Name(), func(t *testing.T) {
			hub := engine.NewHub(engine.WithLogger(silent), engine.WithEnableResendEvents(), engine.WithEncodings(coding))
			server := httptest.NewServer(stream.Handler(hub, nil, stream.WithRetry(time.Millisecond)))
			defer server.Close()
			defer hub.Close()
			got, ends := make(chan string, 100), make(chan error, 10)
			c := client.NewClient(server.URL)
			c.OnEvent("", func(e *wire.Event) { got <- e.Data.(string) })
			c.OnError(func(err error) { ends <- err })
			require.NoError(t, c.Connect())
			for i := range 20 {
				data := fmt.Sprint(i, strings.Repeat("{\"key\":\"value\"}", i*i))
				require.NoError(t, hub.Push(nil, &wire.Event{Data: data}))
				require.Equal(t, data, <-got)
			}
			hub.Close()
			var end *client.EndError
			require.ErrorAs(t, <-ends, &end)
			require.Equal(t, "closed", end.Reason)
			c.Disconnect()
			<-c.Wait()
		})
	}
}
