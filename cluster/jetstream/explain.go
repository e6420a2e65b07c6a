package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Codes of errors of the server that an administrator can do something about.
const (
	codeNoPeers     jetstream.ErrorCode = 10005 // not as many servers as replicas
	codeNoReplicas  jetstream.ErrorCode = 10074 // the server is alone
	codeAccountFull jetstream.ErrorCode = 10002
	codeNoResources jetstream.ErrorCode = 10023
	codeServerFull  jetstream.ErrorCode = 10047
	codeStoreFailed jetstream.ErrorCode = 10077
	codeMaxStreams  jetstream.ErrorCode = 10027
	codeOverlap     jetstream.ErrorCode = 10065
)

// errUnconnected stands for what the client says where it may not keep what can't be sent.
var errUnconnected = errors.New("no NATS server is connected")

// errNoAnswer stands for a question whose time is over.
var errNoAnswer = errors.New("the NATS servers do not answer: the stream, or JetStream itself, has no leader, as while fewer than half of its servers are up")

// explain adds to an error what can be done about it, where that is known.
func (s *Stream) explain(err error) error {
	switch api := apiError(err); {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return errUnconnected
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		if !s.nc.IsConnected() {
			return fmt.Errorf("%w: %w", errUnconnected, err)
		}
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("%w: stream %s is not there, or has no leader", err, s.cfg.name)
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: the NATS server has no JetStream: start it with -js, or with jetstream in its configuration", err)
	case api != nil:
		return explainAPI(err, api)
	}
	return err
}

// explainAPI is explain for what a server has said.
func explainAPI(err error, api *jetstream.APIError) error {
	hint := ""
	switch api.ErrorCode {
	case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		hint = "give the account JetStream, or connect with another one"
	case codeNoPeers, codeNoReplicas:
		hint = "the stream is to be on more servers than there are: give fewer replicas, or start more servers as one cluster"
	case codeAccountFull, codeNoResources, codeServerFull, codeStoreFailed:
		hint = "there is no room: raise the bounds of storage of the account and the servers, free the disk, or bound the stream (nats stream edit --max-bytes)"
	case codeMaxStreams:
		hint = "raise the account's bound of streams"
	case codeOverlap:
		hint = "another stream takes messages of this one's subjects: give this one another name"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, hint)
}
