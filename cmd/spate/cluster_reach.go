package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// natsReach dials NATS servers, and knows why none was reached last: the client itself does not say.
type natsReach struct{ last atomic.Pointer[error] }

// natsDial is how long a server may take to be connected to.
const natsDial = 2 * time.Second

// Dial implements nats.CustomDialer.
func (r *natsReach) Dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, natsDial)
	if err != nil {
		r.last.Store(&err)
	}
	return conn, err
}

// why says why the cluster is not to be used: for err, or as there is no connection.
func (r *natsReach) why(nc *nats.Conn, err error) error {
	if nc.IsConnected() {
		return err
	}
	last := nc.LastError()
	switch dial := r.last.Load(); {
	case errors.Is(last, nats.ErrAuthorization), errors.Is(last, nats.ErrAuthExpired):
		return fmt.Errorf("%w: the servers do not let this hub in: see --cluster-creds, --cluster-tls-cert, or the user in the URL", last)
	case last != nil:
		return last
	case dial != nil:
		return fmt.Errorf("no server is reached: %w", *dial)
	}
	return err
}

// options tell in the log when the connection is lost, and there again.
func (r *natsReach) options(log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.SetCustomDialer(r),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("cluster: NATS says", "err", err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else the hub ends
				log.Warn("cluster: the connection to a NATS server is lost; the hub goes to another one, or this one again", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("cluster: connected to a NATS server again", "server", nc.ConnectedServerName())
		}),
	}
}

// shown are the servers, without passwords.
func (c *clusterConfig) shown() string {
	servers := c.servers()
	for i, text := range servers {
		servers[i] = redacted(text)
	}
	return strings.Join(servers, ", ")
}

// timeOver says whether an error is no more than the end of a try, of which an earlier one may have said more.
func timeOver(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
