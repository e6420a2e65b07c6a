package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	defaultURL  = "http://127.0.0.1:8080"
	pushTimeout = 30 * time.Second
)

// pushConfig is what `spate push` was asked to do.
type pushConfig struct {
	auth   credentials
	client *http.Client
	url    string
	uids   listValue
	event  pushEvent
	lines  bool
	source io.Reader // nil: event.Data is the data
}

// pushEvent is one event of the push API.
type pushEvent struct {
	Event string `json:"event,omitempty"`
	Topic string `json:"topic,omitempty"`
	Key   string `json:"key,omitempty"`
	Data  string `json:"data"`
}

func parsePush(s streams, args []string) (*pushConfig, error) {
	c := &pushConfig{}
	fs := newFlagSet("push [flags] [data|-]")
	fs.StringVar(&c.url, "url", defaultURL, "`address` of the hub")
	fs.Var(&c.uids, "uid", "`user` to push to; may be given several times (default everyone)")
	fs.StringVar(&c.event.Event, "event", "", "`type` of the event (default message)")
	fs.StringVar(&c.event.Topic, "topic", "", "only to those who follow this `topic`")
	fs.StringVar(&c.event.Key, "key", "", "conflation `key`")
	c.auth.addFlags(fs)
	fs.BoolVar(&c.lines, "lines", false, "push each line of the standard input as an event of its own")
	if err := fs.parse(s, args); err != nil {
		return nil, err
	}
	switch {
	case fs.NArg() > 1 && strings.HasPrefix(fs.Arg(1), "-") && fs.Arg(1) != "-":
		return nil, usagef("%s comes after the data: flags come first", fs.Arg(1))
	case fs.NArg() > 1:
		return nil, usagef("data must be one argument: put it in quotes")
	case c.lines && fs.NArg() == 1 && fs.Arg(0) != "-":
		return nil, usagef("--lines reads the standard input: leave the data out")
	case fs.NArg() == 0 && !c.lines && isTerminal(s.in):
		return nil, usagef("give the data, or - to read it from the standard input")
	case fs.NArg() == 0 || fs.Arg(0) == "-":
		c.source = s.in
	default:
		c.event.Data = fs.Arg(0)
	}
	if err := c.auth.validate(); err != nil {
		return nil, err
	}
	base, err := hubURL(c.url)
	c.url = base
	return c, err
}

// runPush pushes and prints one ID a line, in the order of the events.
func runPush(ctx context.Context, s streams, args []string) error {
	c, err := parsePush(s, args)
	if err != nil {
		return err
	}
	if c.client, err = c.auth.client(); err != nil {
		return err
	}
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	if c.source != nil {
		c.source = interruptible(ctx, c.source)
	}
	if c.lines {
		return pushLines(ctx, s, c)
	}
	if c.source != nil {
		data, err := io.ReadAll(c.source)
		if err != nil {
			return fmt.Errorf("reading the data: %w; nothing was pushed", err)
		}
		// A shell's echo ends with a line end that nobody means.
		c.event.Data = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	}
	return c.push(ctx, s.out)
}

// pushLines stops at the first line that the hub does not take, and says which it is: those before it are pushed.
func pushLines(ctx context.Context, s streams, c *pushConfig) error {
	lines := bufio.NewReader(c.source)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the data: %w; the lines before line %d are pushed", err, n)
		}
		if line != "" {
			c.event.Data = strings.TrimRight(line, "\r\n")
			if err := c.push(ctx, s.out); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if err != nil {
			return nil
		}
	}
}

// push sends the event and prints its ID.
func (c *pushConfig) push(ctx context.Context, out io.Writer) error {
	if err := c.checkText(); err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		UIDs   []string    `json:"uids,omitempty"`
		Events []pushEvent `json:"events"`
	}{c.uids.values, []pushEvent{c.event}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/push", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	c.auth.set(req)
	res, err := c.client.Do(req)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w, the event may or may not be published", errSignal)
	}
	if err != nil {
		return explainConnect(c.url, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("the hub's answer broke off, the event may or may not be published: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the hub refused the event (%s): %s", res.Status, errorText(text))
	}
	var reply struct {
		IDs []string `json:"ids"`
	}
	if err := json.Unmarshal(text, &reply); err != nil || len(reply.IDs) == 0 {
		return fmt.Errorf("%s/push answered what no hub answers: %.100q", c.url, text)
	}
	_, err = fmt.Fprintln(out, strings.Join(reply.IDs, "\n"))
	return err
}

// checkText refuses what JSON would change on the way: bytes that are no UTF-8 would arrive as other ones.
func (c *pushConfig) checkText() error {
	texts := [][2]string{{"the data", c.event.Data}, {"--event", c.event.Event}, {"--topic", c.event.Topic}, {"--key", c.event.Key}}
	for _, uid := range c.uids.values {
		texts = append(texts, [2]string{"--uid", uid})
	}
	for _, t := range texts {
		if at := invalidUTF8(t[1]); at >= 0 {
			return fmt.Errorf("%s: not valid UTF-8 at byte %d; send bytes that are no text as base64", t[0], at+1)
		}
	}
	return nil
}

// invalidUTF8 returns the index of the first byte that is not part of valid UTF-8, -1 if there is none.
func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

// errorText is what a problem says (RFC 9457, with our field), or the text itself.
func errorText(text []byte) string {
	var body struct{ Detail, Field string }
	if json.Unmarshal(text, &body) != nil || body.Detail == "" {
		return strings.TrimSpace(string(text))
	}
	if body.Field != "" {
		return body.Field + ": " + body.Detail
	}
	return body.Detail
}

// explainConnect says what to do where nothing answers, or somebody who is not known.
func explainConnect(url string, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no hub answers at %s; start one with `spate serve`, or name it with --url", url)
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("the issuer of the certificate at %s is not known here; if it is yours, name its file with --ca: %w", url, err)
	}
	return err
}

// hubURL checks a hub's address and cuts a slash at its end.
func hubURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", usagef("--url %q: give the hub's address, such as %s", text, defaultURL)
	}
	if u.RawQuery != "" {
		return "", usagef("--url %q: it has a query; give the address of the hub alone", text)
	}
	if u.Fragment != "" {
		return "", usagef("--url %q: it has a fragment; give the address of the hub alone", text)
	}
	u.ForceQuery = false
	return strings.TrimSuffix(u.String(), "/"), nil
}

// isTerminal reports whether somebody would have to type what is read from r.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
