package jetstream

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// What an administrator can mend is said with what to do about it, and is still the error
// that it was.
func TestErrorsSayWhatToDo(t *testing.T) {
	s := &Stream{cfg: newConfig(nil), nc: &nats.Conn{}} // not connected
	for _, one := range []struct {
		err  error
		says string
	}{
		{nats.ErrNoResponders, "start it with -js"},
		{jetstream.ErrNoStreamResponse, "stream spate is not there"},
		{jetstream.ErrJetStreamNotEnabledForAccount, "give the account JetStream"},
		{&jetstream.APIError{ErrorCode: 10074}, "fewer replicas"},
		{&jetstream.APIError{ErrorCode: 10005}, "fewer replicas"},
		{&jetstream.APIError{ErrorCode: 10023}, "raise the bounds of storage"},
		{&jetstream.APIError{ErrorCode: 10065}, "another name"},
		{context.DeadlineExceeded, "no NATS server is connected"},
	} {
		got := s.explain(one.err)
		require.ErrorIs(t, got, one.err)
		require.ErrorContains(t, got, one.says)
	}
	require.ErrorContains(t, s.explain(nats.ErrReconnectBufExceeded), "no NATS server is connected")
	other := errors.New("else")
	require.Equal(t, other, s.explain(other))
	require.NoError(t, s.explain(nil))
}
