package engine

import "errors"

// Ends counts the connections that have ended, each once, by what ended it.
type Ends struct {
	Hangup     uint64 `json:"hangup"`      // the peer hung up, or its connection broke
	Overflow   uint64 `json:"overflow"`    // ErrOverflow: too slow for PolicyDisconnect
	Stalled    uint64 `json:"stalled"`     // ErrStalled: took no byte for the stall time-out
	WriteError uint64 `json:"write_error"` // Sink.Write failed
	History    uint64 `json:"history"`     // ErrHistory: the log could not be read
	Closed     uint64 `json:"closed"`      // ErrClosed: the hub closed
	Expired    uint64 `json:"expired"`     // ErrExpired: its time was over
	Revoked    uint64 `json:"revoked"`     // ErrRevoked: its rights were taken back
	Reconnect  uint64 `json:"reconnect"`   // ErrReconnect: it was asked to come back
}

// ending is what a connection's end is counted as.
type ending uint8

const (
	endHangup ending = iota
	endOverflow
	endStalled
	endWrite
	endHistory
	endClosed
	endExpired
	endRevoked
	endReconnect
	endings // their number
)

// endingOf classifies a reason to close a connection. One that is not the
// hub's own came from Sink.Write.
func endingOf(reason error) ending {
	switch {
	case errors.Is(reason, ErrHangup):
		return endHangup
	case errors.Is(reason, ErrOverflow):
		return endOverflow
	case errors.Is(reason, ErrStalled):
		return endStalled
	case errors.Is(reason, ErrHistory):
		return endHistory
	case errors.Is(reason, ErrClosed):
		return endClosed
	case errors.Is(reason, ErrExpired):
		return endExpired
	case errors.Is(reason, ErrRevoked):
		return endRevoked
	case errors.Is(reason, ErrReconnect):
		return endReconnect
	}
	return endWrite
}
