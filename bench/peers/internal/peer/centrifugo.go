//go:build linux

package peer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/internal/others"
	"github.com/spatehub/spate/loadtest/stamp"
)

// newCentrifugo starts Centrifugo with its one-way SSE transport and its engine in memory, as its documentation has them,
// and with room in a client's queue. Events come in batches, one request for all that wait.
func newCentrifugo(o server.Options) (server.Server, error) {
	bin, err := others.Centrifugo()
	if err != nil {
		return nil, err
	}
	port, err := others.FreePort()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(centrifugoConf(o, port))
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(o.Dir, "config.json")
	return startWith(o, port, conf, string(text), program{
		name: bin, args: []string{"-c", conf},
		api: api{
			head: "X-API-Key: KEY\r\nContent-Type: application/json\r\n", batch: 100, mixed: true,
			path: fixed("/api/batch"), body: centrifugoBody, fault: centrifugoFault,
		},
		path:     centrifugoPath,
		position: centrifugoPosition,
	})
}

// object is a JSON object.
type object = map[string]any

func centrifugoConf(o server.Options, port int) object {
	channels := object{"allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true}
	if o.History {
		channels["history_size"], channels["history_ttl"], channels["force_recovery"] = 10_000, "300s", true
	}
	listen := object{"address": "0.0.0.0", "port": port}
	if o.TLS {
		cert, key := certificate(o)
		listen["tls"] = object{"enabled": true, "cert_pem": cert, "key_pem": key}
	}
	return object{
		"log": object{"level": "error"}, "http_server": listen, "http_api": object{"key": "KEY"},
		"client":  object{"allow_anonymous_connect_without_token": true, "queue_max_size": 64 << 20},
		"uni_sse": object{"enabled": true}, "channel": object{"without_namespace": channels},
	}
}

// centrifugoPath passes the channel, and where to go on in it, in the connect command.
func centrifugoPath(kind stamp.Kind) string {
	head, tail := url.QueryEscape(`{"subs":{"`), url.QueryEscape(`}}}`)
	return "/connection/uni_sse?cf_connect=" + head + channelParameter(kind) + url.QueryEscape(`":{`) + "{last}" + tail
}

func centrifugoBody(dst []byte, list []posted) []byte {
	dst = append(dst, `{"commands":[`...)
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `{"publish":{"channel":"`...), channelOf(e.kind, e.index)...)
		dst = append(e.quoted(append(dst, `","data":`...)), "}}"...)
	}
	return append(dst, "]}"...)
}

func centrifugoFault(answer []byte) error {
	if bytes.Contains(answer, []byte(`"error"`)) {
		return fmt.Errorf("refused: %s", answer[:min(len(answer), 200)])
	}
	return nil
}

// centrifugoPosition makes of the answer to the last batch what a subscription that goes on says.
func centrifugoPosition(answer []byte) string {
	var batch struct {
		Replies []struct {
			Publish struct {
				Offset uint64 `json:"offset"`
				Epoch  string `json:"epoch"`
			} `json:"publish"`
		} `json:"replies"`
	}
	if json.Unmarshal(answer, &batch) != nil || len(batch.Replies) == 0 {
		return ""
	}
	at := batch.Replies[len(batch.Replies)-1].Publish
	return goOn(at.Offset, at.Epoch)
}
