package apitest

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sent is what the hub was seen to send, by the rows of the protocol's table.
type sent map[string]bool

// note enters an answer's status and header.
func (s sent) note(res *http.Response) {
	s[fmt.Sprintf("status %d", res.StatusCode)] = true
	for name := range res.Header {
		s["header "+name] = true
	}
	if len(res.TransferEncoding) > 0 {
		s["header Transfer-Encoding"] = true
	}
	if res.Close {
		s["header Connection"] = true
	}
}

// stream is an open stream whose events are noted.
type stream struct {
	p      *prover
	cancel func()
	lines  chan string
}

// open opens a stream.
func (p *prover) open(target, header string) *stream {
	p.t.Helper()
	res, err := http.DefaultClient.Do(p.request(exchange{method: "GET", target: target, header: header}))
	require.NoError(p.t, err)
	require.Equal(p.t, 200, res.StatusCode, target)
	s := &stream{p, func() { res.Body.Close() }, make(chan string, 1000)}
	go func() {
		defer close(s.lines)
		for text := bufio.NewScanner(res.Body); text.Scan(); {
			s.lines <- text.Text()
		}
	}()
	p.t.Cleanup(s.cancel)
	return s
}

var reason = regexp.MustCompile(`^data: \{"reason":"(\w+)"\}$`)

// await reads until a row of the table has been seen on this stream.
func (s *stream) await(row string) {
	s.p.t.Helper()
	last := ""
	for late := time.After(30 * time.Second); ; {
		select {
		case line, ok := <-s.lines:
			require.True(s.p.t, ok, "the stream ended before %s", row)
			if name, ok := strings.CutPrefix(line, "event: "); ok {
				last = name
			}
			seen := "event " + last
			if m := reason.FindStringSubmatch(line); m != nil && last == "disconnect" {
				seen += " " + m[1]
			} else if !strings.HasPrefix(line, "data: ") || last == "disconnect" {
				continue
			}
			s.p.sent[seen] = true
			if seen == row {
				return
			}
			last = ""
		case <-late:
			require.FailNow(s.p.t, "nothing comes", row)
		}
	}
}

var row = regexp.MustCompile("^\\| (status|header|event) \\| ([^|]+) \\| [^|]+ \\| (?:`([^`]+)`)? ?\\|$")

// tableRows are the rows of the protocol's table, and the tests that they name.
func tableRows(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/protocol.md")
	require.NoError(t, err)
	_, part, found := bytes.Cut(text, []byte("## All that the hub can send"))
	require.True(t, found)
	rows := map[string]string{}
	for line := range strings.Lines(string(part)) {
		if m := row.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			name := m[2]
			if m[1] == "header" {
				name = http.CanonicalHeaderKey(name)
			}
			rows[m[1]+" "+name] = m[3]
		}
	}
	require.Greater(t, len(rows), 40)
	return rows
}

// table holds what was sent to the protocol's table, and the table to what was sent.
func (p *prover) table() {
	rows := tableRows(p.t)
	for what := range p.sent {
		if kind, is := strings.CutPrefix(what, "event "); is && !strings.Contains(rowKinds, " "+strings.SplitN(kind, " ", 2)[0]+" ") {
			continue // an application's
		}
		require.Contains(p.t, rows, what, "the hub has sent it, and the table has no row for it")
	}
	shown := 0
	for name, test := range rows {
		switch {
		case p.sent[name]:
			shown++
		case test == "":
			require.Fail(p.t, "no exchange proves the row", name)
		default:
			p.exists(test)
		}
	}
	p.t.Logf("%d rows, %d of them shown here", len(rows), shown)
}

var (
	statusName = regexp.MustCompile(`\bhttp\.(Status[A-Z]\w+)`)
	headerName = regexp.MustCompile(`(?:\bh|\bHeader\(\))\.(?:Set|Add)\("([A-Za-z-]+)"`)
)

// TestEveryStatusAndHeaderHasARow looks for both in the sources of what serves: a row is missed where nothing makes the hub
// send it here.
func TestEveryStatusAndHeaderHasARow(t *testing.T) {
	rows := tableRows(t)
	codes := map[string]int{"StatusText": 0}
	for code := 100; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			codes["Status"+strings.NewReplacer(" ", "", "-", "").Replace(text)] = code
		}
	}
	statuses, headers := 0, 0
	for _, root := range []string{"../../../cmd/spate", "../../../serve"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, m := range statusName.FindAllStringSubmatch(string(text), -1) {
				code, known := codes[m[1]]
				require.True(t, known, "%s: %s", path, m[1])
				if code > 0 {
					require.Contains(t, rows, fmt.Sprintf("status %d", code), path)
					statuses++
				}
			}
			for _, m := range headerName.FindAllStringSubmatch(string(text), -1) {
				require.Contains(t, rows, "header "+http.CanonicalHeaderKey(m[1]), path)
				headers++
			}
			return nil
		}))
	}
	require.Greater(t, statuses, 80)
	require.Greater(t, headers, 30)
}

// rowKinds are the types of the hub's own events.
const rowKinds = " gap disconnect join leave reset "

// exists requires that a test, as package.TestName, is there.
func (p *prover) exists(name string) {
	p.t.Helper()
	folder, test, ok := strings.Cut(name, ".")
	require.True(p.t, ok, name)
	files, err := filepath.Glob(filepath.Join("../../..", folder, "*_test.go"))
	require.NoError(p.t, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(p.t, err)
		if strings.Contains(string(text), "\nfunc "+test+"(t *testing.T)") {
			return
		}
	}
	require.Fail(p.t, "the table names a test that is not there", name)
}
