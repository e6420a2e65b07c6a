package limit_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/limit"
)

func proxies(t testing.TB, header string, trusted ...string) *limit.Proxies {
	t.Helper()
	p, err := limit.NewProxies(trusted, header)
	require.NoError(t, err)
	return p
}

func from(remote string, headers ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestClientAddr(t *testing.T) {
	const xff, fwd = limit.XForwardedFor, limit.Forwarded
	trusted := []string{"10.0.0.0/8", "2001:db8:1::/48", "::1"}
	for name, tc := range map[string]struct {
		header string
		r      *http.Request
		want   string // "": the zero Addr
	}{
		"direct":                       {xff, from("203.0.113.9:1234"), "203.0.113.9"},
		"stranger's word":              {xff, from("203.0.113.9:1234", xff, "1.1.1.1"), "203.0.113.9"},
		"proxy without a word":         {xff, from("10.1.1.1:1234"), "10.1.1.1"},
		"proxy":                        {xff, from("10.1.1.1:1234", xff, "203.0.113.9"), "203.0.113.9"},
		"proxy as 4 in 6":              {xff, from("[::ffff:10.1.1.1]:1234", xff, "203.0.113.9"), "203.0.113.9"},
		"proxy by IPv6":                {xff, from("[2001:db8:1::5]:1234", xff, "2001:db8:9::1"), "2001:db8:9::1"},
		"client's own in front":        {xff, from("10.1.1.1:1234", xff, "1.1.1.1, 203.0.113.9"), "203.0.113.9"},
		"client's own line in front":   {xff, from("10.1.1.1:1234", xff, "1.1.1.1", xff, "203.0.113.9"), "203.0.113.9"},
		"client claims to be a proxy":  {xff, from("10.1.1.1:1234", xff, "1.1.1.1, 10.0.0.1, 203.0.113.9"), "203.0.113.9"},
		"two proxies":                  {xff, from("10.1.1.1:1234", xff, "1.1.1.1, 203.0.113.9, 10.2.2.2"), "203.0.113.9"},
		"two proxies, two lines":       {xff, from("10.1.1.1:1234", xff, "1.1.1.1, 203.0.113.9", xff, "10.2.2.2"), "203.0.113.9"},
		"only proxies":                 {xff, from("10.1.1.1:1234", xff, "10.3.3.3,10.2.2.2"), "10.3.3.3"},
		"with ports":                   {xff, from("10.1.1.1:1234", xff, "203.0.113.9:555"), "203.0.113.9"},
		"IPv6 with port":               {xff, from("10.1.1.1:1234", xff, "[2001:db8:9::1]:555"), "2001:db8:9::1"},
		"IPv6 in brackets":             {xff, from("10.1.1.1:1234", xff, "[2001:db8:9::1]"), "2001:db8:9::1"},
		"4 in 6":                       {xff, from("10.1.1.1:1234", xff, "::ffff:203.0.113.9"), "203.0.113.9"},
		"white space":                  {xff, from("10.1.1.1:1234", xff, "1.1.1.1 ,\t203.0.113.9 "), "203.0.113.9"},
		"garbage":                      {xff, from("10.1.1.1:1234", xff, "1.1.1.1, garbage"), "10.1.1.1"},
		"garbage behind a proxy":       {xff, from("10.1.1.1:1234", xff, "garbage, 10.2.2.2"), "10.2.2.2"},
		"empty":                        {xff, from("10.1.1.1:1234", xff, ""), "10.1.1.1"},
		"empty element":                {xff, from("10.1.1.1:1234", xff, "1.1.1.1,"), "10.1.1.1"},
		"zone":                         {xff, from("10.1.1.1:1234", xff, "fe80::1%eth0"), "10.1.1.1"},
		"IPv4 in brackets":             {xff, from("10.1.1.1:1234", xff, "[1.1.1.1]"), "10.1.1.1"},
		"other header":                 {xff, from("10.1.1.1:1234", fwd, "for=1.1.1.1"), "10.1.1.1"},
		"no header":                    {"", from("10.1.1.1:1234", xff, "1.1.1.1", fwd, "for=1.1.1.1"), "10.1.1.1"},
		"very many hops":               {xff, from("10.1.1.1:1234", xff, "203.0.113.9"+strings.Repeat(",10.0.0.2", 1000)), "10.0.0.2"},
		"unix, not trusted":            {xff, from("@", xff, "203.0.113.9"), ""},
		"forwarded":                    {fwd, from("10.1.1.1:1234", fwd, "for=203.0.113.9"), "203.0.113.9"},
		"forwarded, full":              {fwd, from("10.1.1.1:1234", fwd, `for=1.1.1.1, By=10.1.1.1 ;FOR="203.0.113.9:80"; proto=https;host="a,b;c"`), "203.0.113.9"},
		"forwarded, IPv6":              {fwd, from("10.1.1.1:1234", fwd, `For="[2001:db8:9::1]:4711"`), "2001:db8:9::1"},
		"forwarded, IPv6 bare":         {fwd, from("10.1.1.1:1234", fwd, `for="[2001:db8:9::1]"`), "2001:db8:9::1"},
		"forwarded, two proxies":       {fwd, from("10.1.1.1:1234", fwd, `for=203.0.113.9, for=10.2.2.2`), "203.0.113.9"},
		"forwarded, open quote":        {fwd, from("10.1.1.1:1234", fwd, `for="1.1.1.1, for=203.0.113.9`), "203.0.113.9"},
		"forwarded, open quote before": {fwd, from("10.1.1.1:1234", fwd, `for="1.1.1.1, for="[2001:db8:9::1]"`), "2001:db8:9::1"},
		"forwarded, unknown":           {fwd, from("10.1.1.1:1234", fwd, `for=unknown`), "10.1.1.1"},
		"forwarded, hidden":            {fwd, from("10.1.1.1:1234", fwd, `for=1.1.1.1, for=_secret`), "10.1.1.1"},
		"forwarded, twice":             {fwd, from("10.1.1.1:1234", fwd, `for=1.1.1.1;for=2.2.2.2`), "10.1.1.1"},
		"forwarded, without for":       {fwd, from("10.1.1.1:1234", fwd, `for=1.1.1.1, proto=https`), "10.1.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := proxies(t, tc.header, trusted...).ClientAddr(tc.r)
			if tc.want == "" {
				require.False(t, got.IsValid())
				return
			}
			require.Equal(t, tc.want, got.String())
		})
	}
	require.Equal(t, "203.0.113.9", proxies(t, xff, "unix").ClientAddr(from("@", xff, "203.0.113.9")).String())
	require.Equal(t, "10.1.1.1", (*limit.Proxies)(nil).ClientAddr(from("10.1.1.1:1", xff, "203.0.113.9")).String())
	require.Equal(t, "10.1.1.1", new(limit.Proxies).ClientAddr(from("10.1.1.1:1", xff, "203.0.113.9")).String())
}

func TestNewProxiesRefuses(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.0/33", "proxy.example.com", "fe80::1%eth0", "::ffff:10.0.0.1", "10.0.0.1:80"} {
		_, err := limit.NewProxies([]string{"127.0.0.1", bad}, "")
		require.ErrorContains(t, err, `"`+bad+`"`)
	}
	_, err := limit.NewProxies(nil, "X-Real-Ip")
	require.ErrorContains(t, err, `"X-Real-Ip"`)
	require.True(t, proxies(t, "x-forwarded-for", "10.1.2.3/8").Trusts(netip.MustParseAddr("10.9.9.9")))
}

func TestClient(t *testing.T) {
	require.Equal(t, "203.0.113.9/32", limit.Client(netip.MustParseAddr("203.0.113.9")).String())
	require.Equal(t, limit.Client(netip.MustParseAddr("2001:db8::1")), limit.Client(netip.MustParseAddr("2001:db8::ffff:1")))
	require.NotEqual(t, limit.Client(netip.MustParseAddr("2001:db8::1")), limit.Client(netip.MustParseAddr("2001:db8:0:1::1")))
	require.Equal(t, netip.Prefix{}, limit.Client(netip.Addr{}))
}

// FuzzClientAddr: a stranger's headers change nothing; a proxy's last hop counts, whatever stands in front of it; and what is returned is the connection's
// own address or one that stands in the header.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"1.1.1.1", `for="[::1]:80"`, "a,,b", `for="1.1.1.1, for="`, `"\"`, "for=10.0.0.1;for=1.1.1.1", "10.0.0.1,10.0.0.2", "[::1", "::1]"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, line string, xff bool) {
		header, hop, own := limit.Forwarded, `, for="203.0.113.9"`, limit.XForwardedFor
		if xff {
			header, hop, own = limit.XForwardedFor, ",203.0.113.9", limit.Forwarded
		}
		p := proxies(t, header, "10.0.0.0/8")
		require.Equal(t, "192.0.2.1", p.ClientAddr(from("192.0.2.1:1", header, line)).String())
		require.Equal(t, "10.0.0.1", p.ClientAddr(from("10.0.0.1:1", own, line)).String())
		require.Equal(t, "203.0.113.9", p.ClientAddr(from("10.0.0.1:1", header, line+hop)).String(), "what a client sends changes nothing")
		got := p.ClientAddr(from("10.0.0.1:1", header, line))
		require.True(t, got.IsValid())
		if got.String() == "10.0.0.1" {
			return
		}
		found := false
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t,;=\"[]", r) }) {
			addr, err := netip.ParseAddr(word)
			if err != nil {
				if both, err2 := netip.ParseAddrPort(word); err2 == nil {
					addr, err = both.Addr(), nil
				}
			}
			found = found || err == nil && addr.Unmap() == got
		}
		require.True(t, found, "%s is not in %q", got, line)
	})
}

// serveOnce accepts connections that answer what they see.
func serveOnce(t *testing.T, p *limit.Proxies, headerTimeout time.Duration) (addr string) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, p.ClientAddr(r).String()) }),
		ReadHeaderTimeout: 5 * time.Second,
		ConnState:         limit.NewGate(limit.Config{Proxies: p, Addr: limit.Bounds{Connections: 1}}).ConnState,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(p.Listener(inner, headerTimeout)) }()
	t.Cleanup(func() {
		server.Close()
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return inner.Addr().String()
}

// ask sends a PROXY header and a request, and returns the answer's status and body; 0 is a closed connection.
func ask(t *testing.T, addr string, header []byte) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = c.Write(append(header, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"...))
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestProxyProtocol(t *testing.T) {
	v2, err := (&proxyproto.Header{
		Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv6,
		SourceAddr: &net.TCPAddr{IP: net.ParseIP("2001:db8:9::1"), Port: 1}, DestinationAddr: &net.TCPAddr{IP: net.ParseIP("2001:db8:9::2"), Port: 2},
	}).Format()
	require.NoError(t, err)
	v1 := []byte("PROXY TCP4 203.0.113.9 10.0.0.1 1111 80\r\n")

	trusting := serveOnce(t, proxies(t, "", "127.0.0.0/8"), time.Second)
	status, body := ask(t, trusting, v1)
	require.Equal(t, 200, status)
	require.Equal(t, "203.0.113.9", body)
	status, body = ask(t, trusting, v2)
	require.Equal(t, 200, status)
	require.Equal(t, "2001:db8:9::1", body)
	for _, bad := range []string{"", "PROXY garbage\r\n", "PROXY TCP4 x y 1 2\r\n"} {
		status, _ = ask(t, trusting, []byte(bad))
		require.NotEqual(t, 200, status, "%q: a proxy has to say who its client is", bad)
	}

	strange := serveOnce(t, proxies(t, "", "192.0.2.1"), time.Second)
	status, body = ask(t, strange, nil)
	require.Equal(t, 200, status)
	require.Equal(t, "127.0.0.1", body)
	for _, header := range [][]byte{v1, v2} {
		status, _ = ask(t, strange, header)
		require.NotEqual(t, 200, status, "a stranger's word is not taken")
	}
}

// A proxy whose header never comes holds its connection for a bounded time, and nobody else's.
func TestProxyProtocolHeaderThatDoesNotCome(t *testing.T) {
	addr := serveOnce(t, proxies(t, "", "127.0.0.0/8"), time.Second)
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	status, body := ask(t, addr, []byte("PROXY TCP4 203.0.113.9 10.0.0.1 1111 80\r\n"))
	require.Equal(t, 200, status)
	require.Equal(t, "203.0.113.9", body)
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.ReadAll(c) // an answer or none, and the end
	var timeout net.Error
	if err != nil && strings.Contains(err.Error(), "timeout") {
		require.NotErrorAs(t, err, &timeout)
	}
}

// Connections of a proxy that say nothing, such as those of its checks, do not hold up who comes after them, and are not
// counted as one address's.
func TestSilentConnectionsOfAProxy(t *testing.T) {
	addr := serveOnce(t, proxies(t, "", "127.0.0.0/8"), time.Hour)
	for range 150 {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer c.Close()
	}
	status, body := ask(t, addr, []byte("PROXY TCP4 203.0.113.9 10.0.0.1 1111 80\r\n"))
	require.Equal(t, 200, status)
	require.Equal(t, "203.0.113.9", body)

	silent, other := net.Pipe()
	defer silent.Close()
	defer other.Close()
	proxied := proxyproto.NewConn(silent, proxyproto.SetReadHeaderTimeout(time.Hour))
	limit.NewGate(limit.Config{}).ConnState(tls.Server(proxied, &tls.Config{}), http.StateNew) // does not wait
}
