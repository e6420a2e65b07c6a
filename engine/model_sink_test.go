package engine

import (
	"bytes"
	"strconv"
)

// modelSink parses what it takes.
type modelSink struct {
	w      *modelWorld
	room   int
	buf    []byte
	gone   bool // the client does not read any more
	closed bool
}

func (s *modelSink) Write(p []byte) (int, error) {
	if s.closed {
		s.w.fail("write after Close")
	}
	n := min(len(p), s.room)
	s.room -= n
	if s.gone {
		return n, nil
	}
	s.buf = append(s.buf, p[:n]...)
	for {
		frame, rest, ok := s.next()
		if !ok {
			return n, nil
		}
		s.w.received(string(frame))
		s.buf = rest
	}
}

// next cuts the next frame off what came: a chunk holds one and nothing else.
func (s *modelSink) next() (frame, rest []byte, ok bool) {
	if s.w.form == FormPlain {
		i := bytes.Index(s.buf, []byte("\n\n"))
		if i < 0 {
			return nil, nil, false
		}
		return s.buf[:i+2], s.buf[i+2:], true
	}
	size, rest, ok := bytes.Cut(s.buf, []byte("\r\n"))
	if !ok {
		return nil, nil, false
	}
	n, err := strconv.ParseUint(string(size), 16, 32)
	if err != nil {
		s.w.fail("chunk of size %q", size)
		return nil, nil, false
	}
	if uint64(len(rest)) < n+2 {
		return nil, nil, false
	}
	frame, rest = rest[:n], rest[n:]
	if bytes.Index(frame, []byte("\n\n")) != len(frame)-2 || !bytes.HasPrefix(rest, []byte("\r\n")) {
		s.w.fail("chunk %q with %q behind", frame, rest)
	}
	return frame, rest[2:], true
}

func (s *modelSink) Close(reason error) {
	if s.closed {
		s.w.fail("closed twice")
	}
	s.closed = true
	if !s.gone {
		s.w.fail("closed with %v", reason)
	}
}
