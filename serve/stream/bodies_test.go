package stream_test

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
)

// stuckBody is a body that lacks its end until it is given.
type stuckBody struct {
	io.Reader
	read bool
	end  chan struct{}
}

func newStuckBody(text string) *stuckBody {
	return &stuckBody{Reader: strings.NewReader(text), end: make(chan struct{})}
}

func (b *stuckBody) Read(p []byte) (int, error) {
	b.read = true
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		<-b.end
	}
	return n, err
}

// The bodies of pushes under way are bounded together (invariant 5): beyond that they are
// refused unread with a time to come back, small ones get through beside large ones, and
// what was taken is given back.
func TestBodiesOfPushesAreBoundedTogether(t *testing.T) {
	const size, room = 64 << 10, 4 * 2 * 64 << 10
	h := stream.AuthorizedPush(newHub(t), func(r *http.Request) (stream.Grant, error) {
		return stream.Grant{User: r.Header.Get("X-User"), Push: stream.PushRights{Everyone: true}}, nil
	}, stream.WithPushBodyLimit(size), stream.WithPushMemory(room))
	text := `{"events":[{"data":"x"}]}`
	text += strings.Repeat(" ", size-16-len(text))
	held := func() int64 { return stream.PushBodyStats().BodyBytes }
	send := func(user string, b *stuckBody, length int64) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/push", b)
		r.ContentLength = length
		r.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(user, "user") {
			r.Header.Set("X-User", user)
		} else {
			r.RemoteAddr = user
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	require.Zero(t, held())
	before := stream.PushBodyStats().Refused

	var under []*stuckBody
	var done sync.WaitGroup
	hold := func(user string) {
		t.Helper()
		before, b := held(), newStuckBody(text)
		under = append(under, b)
		done.Go(func() {
			if code := send(user, b, int64(len(text))).Code; code != http.StatusOK {
				t.Errorf("answered by %d", code)
			}
		})
		require.Eventually(t, func() bool { return held() == before+2*int64(len(text)+1) }, time.Minute, time.Millisecond)
	}
	release := func(some []*stuckBody, left int64) {
		t.Helper()
		for _, b := range some {
			close(b.end)
		}
		require.Eventually(t, func() bool { return held() == left }, time.Minute, time.Millisecond)
	}
	for _, user := range []string{"user1", "user2", "user2"} { // a fourth would be beyond seven eighths
		hold(user)
	}
	most := held()
	require.LessOrEqual(t, most, int64(room))

	refusedLarge := func(user string, length int64) *stuckBody {
		t.Helper()
		late := newStuckBody(text)
		close(late.end) // were it taken, it would be answered
		rec := send(user, late, length)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code, rec.Body)
		require.NotEmpty(t, rec.Header().Get("Retry-After"))
		require.Equal(t, "close", rec.Header().Get("Connection"), "what it goes on to send is not read")
		require.Equal(t, most, held())
		return late
	}
	require.False(t, refusedLarge("user9", int64(len(text))).read)
	refusedLarge("user9", -1) // in chunks: as far as there is room
	require.EqualValues(t, before+2, stream.PushBodyStats().Refused)
	accepted(t, post(h, `{"events":[{"data":"small"}]}`))

	// There is room for one more, for others than those who have their half.
	fits := func(user string) {
		t.Helper()
		b := newStuckBody(text)
		close(b.end)
		require.Equal(t, http.StatusOK, send(user, b, int64(len(text))).Code)
	}
	most = most / 3 * 2
	release(under[:1], most)
	require.False(t, refusedLarge("user2", int64(len(text))).read)
	refusedLarge("user2", -1)
	fits("user1")
	release(under[1:], 0)

	// Who has no user counts by where he comes from.
	under = nil
	hold("[2001:db8::1]:1")
	hold("[2001:db8::1]:2")
	refusedLarge("[2001:db8::2]:1", int64(len(text)))
	fits("[2001:db8:0:1::2]:1")
	release(under, 0)
	done.Wait()
	accepted(t, post(h, text))
	require.Zero(t, held())
}

// Who says that much is to come and sends little holds little.
func TestABodyThatIsSentSlowlyHoldsLittle(t *testing.T) {
	h := stream.PushHandler(newHub(t), stream.WithPushBodyLimit(1<<20))
	b := newStuckBody("{")
	var done sync.WaitGroup
	done.Go(func() {
		r := httptest.NewRequest(http.MethodPost, "/push", b)
		r.ContentLength = 1 << 20
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
	require.Eventually(t, func() bool { return stream.PushBodyStats().BodyBytes > 0 }, time.Minute, time.Millisecond)
	require.LessOrEqual(t, stream.PushBodyStats().BodyBytes, int64(8<<10))
	close(b.end)
	done.Wait()
	require.Zero(t, stream.PushBodyStats().BodyBytes)
}

// A bound of bodies that means none does not leave so little room that a body is refused for ever.
func TestABoundOfBodiesThatIsNone(t *testing.T) {
	for _, most := range []int64{1 << 60, math.MaxInt64} {
		h := stream.PushHandler(newHub(t), stream.WithPushBodyLimit(most), stream.WithPushMemory(1))
		accepted(t, post(h, `{"events":[{"data":"x"}]}`+strings.Repeat(" ", 1<<20)))
	}
}
