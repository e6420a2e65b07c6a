//go:build linux

package peer

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/spatehub/spate/loadtest/stamp"
)

// api is how a server is published to over HTTP.
type api struct {
	method string // "" is POST
	head   string // header lines, each with its end
	batch  int    // most events in one request: for one audience, unless mixed
	mixed  bool
	path   func(e posted) string
	body   func(dst []byte, list []posted) []byte
	fault  func(answer []byte) error // what a 2xx may still say; nil: nothing
}

// posted is one event.
type posted struct {
	kind  stamp.Kind
	index uint32
	data  []byte
}

// quoted appends the event's data as a JSON value: as it is if it is an object, else as a string, in which nothing of a
// stamp has to be escaped.
func (e posted) quoted(dst []byte) []byte {
	if len(e.data) > 0 && e.data[0] == '{' {
		return append(dst, e.data...)
	}
	return append(append(append(dst, '"'), e.data...), '"')
}

// The poster's connections, over which users take turns: what is for one of them keeps its order. What is for everyone
// has one.
const lanes = 16

// laneQueue is how many events may wait for a connection before the publisher does.
const laneQueue = 1 << 14

// laneWindow is how many requests are sent before the answer to the first of them is read.
const laneWindow = 32

// poster publishes to a server in another process. Events wait for the requests before them, then go out together: in
// one request where the server takes several, in several at once on the same connection where it does not.
type poster struct {
	api
	addr    string
	secured bool
	lanes   []*lane

	mu      sync.Mutex
	idle    sync.Cond
	waiting int    // events without an answer
	fault   error  // the first one that has not been told
	last    []byte // the body of the last answer
}

// lane is one connection.
type lane struct {
	conn  net.Conn // nil until there is something to send
	used  time.Time
	in    *bufio.Reader
	queue chan posted
	out   []byte
}

// laneIdle is how long a connection may lie idle before another one is made: servers end such connections when they like.
const laneIdle = time.Second

// newPoster returns one for the server at addr.
func newPoster(addr string, secured bool, a api) *poster {
	p := &poster{api: a, addr: addr, secured: secured}
	p.idle.L = &p.mu
	for range lanes {
		l := &lane{queue: make(chan posted, laneQueue)}
		p.lanes = append(p.lanes, l)
		go p.work(l)
	}
	return p
}

// connect sees to it that a lane has a connection that the server has not given up.
func (p *poster) connect(l *lane) error {
	if l.conn != nil {
		if time.Since(l.used) < laneIdle {
			return nil
		}
		_ = l.conn.Close()
	}
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		l.conn = nil
		return err
	}
	if p.secured {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the certificate was made for this run
	}
	l.conn, l.in = conn, bufio.NewReader(conn)
	return nil
}

// Publish hands an event to its connection; the answer to an earlier one is what may be wrong.
func (p *poster) Publish(kind stamp.Kind, index uint32, data []byte) error {
	p.mu.Lock()
	p.waiting++
	err := p.fault
	p.fault = nil
	p.mu.Unlock()
	p.lanes[int(index)%len(p.lanes)].queue <- posted{kind, index, slices.Clone(data)}
	return err
}

// Drain implements [server.Drainer].
func (p *poster) Drain() { _ = p.answered() }

// answered waits until every event has an answer, and returns the last one's body.
func (p *poster) answered() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.waiting > 0 {
		p.idle.Wait()
	}
	return p.last
}

// work publishes what comes in on one connection. It ends with the process.
func (p *poster) work(l *lane) {
	for first := range l.queue {
		list := []posted{first}
		for more := true; more && len(list) < laneWindow*p.batch; {
			select {
			case e := <-l.queue:
				list = append(list, e)
			default:
				more = false
			}
		}
		body, err := p.send(l, list)
		p.mu.Lock()
		p.waiting -= len(list)
		if err != nil && p.fault == nil {
			p.fault = err
		}
		if body != nil {
			p.last = body
		}
		p.idle.Broadcast()
		p.mu.Unlock()
	}
}

// send makes requests of events, sends them all, and reads the answers.
func (p *poster) send(l *lane, list []posted) (body []byte, err error) {
	l.out = l.out[:0]
	requests := 0
	for len(list) > 0 {
		n := 1
		for n < len(list) && n < p.batch && (p.mixed || list[n].kind == list[0].kind && list[n].index == list[0].index) {
			n++
		}
		l.out = p.request(l.out, list[:n])
		list = list[n:]
		requests++
	}
	if err := p.connect(l); err != nil {
		return nil, err
	}
	if _, err := l.conn.Write(l.out); err != nil {
		return nil, err
	}
	defer func() { l.used = time.Now() }()
	for range requests {
		answer, e := p.answer(l)
		if e == nil {
			body = answer
		}
		err = errors.Join(err, e)
	}
	return body, err
}

func (p *poster) request(dst []byte, list []posted) []byte {
	method := p.method
	if method == "" {
		method = http.MethodPost
	}
	body := p.body(nil, list)
	dst = fmt.Appendf(dst, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %d\r\n\r\n", method, p.path(list[0]), p.head, len(body))
	return append(dst, body...)
}

func (p *poster) answer(l *lane) ([]byte, error) {
	res, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %s", res.Status, body[:min(len(body), 200)])
	}
	if p.api.fault != nil {
		err = p.api.fault(body)
	}
	return body, err
}
