package config

import (
	"errors"
	"fmt"
	"strings"
)

// SetURLs takes the URL of streams, or several with commas between them: of servers that
// are one to their clients. The first is the whole; of the others the address counts.
func (c *Config) SetURLs(text string) error {
	var parts []string
	for rest := text; ; {
		i := max(strings.LastIndex(rest, ",http://"), strings.LastIndex(rest, ",https://"))
		if i < 0 {
			parts = append(parts, rest)
			break
		}
		parts, rest = append(parts, rest[i+1:]), rest[:i]
	}
	for i := len(parts) - 1; i >= 0; i-- {
		if err := c.addURL(parts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) addURL(text string) error {
	scheme, host, path := splitURL(text)
	if c.URL == "" {
		c.URL = text
		return nil // it is checked with the rest
	}
	first, firstHost, firstPath := splitURL(c.URL)
	switch {
	case scheme != first:
		return fmt.Errorf("%q: all URLs must have the same scheme", text)
	case host == "":
		return fmt.Errorf("%q: it names no server", text)
	case path != "" && path != firstPath:
		return fmt.Errorf("%q: the servers are one, so that their URLs differ in the address alone", text)
	}
	if len(c.Dests) == 0 {
		c.Dests = []string{firstHost}
		c.several = true
	}
	if !c.several {
		return errors.New("-dest and several URLs contradict each other: give one or the other")
	}
	for _, other := range c.Dests {
		if other == host {
			return fmt.Errorf("%q is given twice", host)
		}
	}
	c.Dests = append(c.Dests, host)
	return nil
}

// splitURL takes a URL apart; a path of nothing but a slash is none.
func splitURL(text string) (scheme, host, path string) {
	scheme, rest, _ := strings.Cut(text, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest, path = rest[:i], strings.TrimSuffix(rest[i:], "/")
	}
	return scheme, rest, path
}

// PushServers are the addresses, host or host:port, of the servers that take pushes in
// turn under the name of the first; nil where pushes go to one URL.
func (c *Config) PushServers() []string {
	if !c.several || c.PushURL != "" {
		return nil
	}
	return c.Dests
}

// SetDests takes addresses of the server.
func (c *Config) SetDests(text string) error {
	if c.several {
		return errors.New("-dest and several URLs contradict each other: give one or the other")
	}
	list, err := ParseAddresses(text)
	c.Dests = append(c.Dests, list...)
	return err
}

// checkMove checks what belongs to streams that move.
func (c *Config) checkMove() []error {
	if c.Move == 0 {
		return nil
	}
	var faults []error
	for why, wrong := range map[string]bool{
		"there is one server: give several, -url http://a:8080,http://b:8080":                                      len(c.Dests) < 2,
		"-resume=false: a stream that goes on elsewhere without its Last-Event-ID misses what is pushed meanwhile": !c.Resume,
		"-http2: its streams share connections, which do not move":                                                 c.HTTP2,
		"-finite streams do not come back":                                                                         c.Finite,
	} {
		if wrong {
			faults = append(faults, errors.New("-move: "+why))
		}
	}
	return faults
}
