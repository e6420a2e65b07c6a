package engine

// Stats is a snapshot of the hub's counters since it was made. An event counts
// once per receiver:
//
//	Pushed = Delivered + Dropped + TimedOut + Failed + Conflated + NoReceiver + Pending
//
// holds whenever the hub is at rest; while it works, a snapshot may be torn by
// the deliveries under way. What a patient connection waits for counts as pushed to it
// when it is sent, or lost.
type Stats struct {
	Events     uint64 // events accepted by Push
	LogFailed  uint64 // events that the log did not take, and ephemeral ones pushed with them; nobody received them
	Pushed     uint64 // events × receivers, and events × users or audiences without one
	Delivered  uint64 // handed to the connection's transport
	Dropped    uint64 // lost by overflow of a queue
	TimedOut   uint64 // waited for room longer than the push time-out
	Failed     uint64 // connection ended, or hub closed, before delivery
	Conflated  uint64 // left out because a newer event had the same key
	NoReceiver uint64 // no connection was entitled: an offline user, an empty topic
	Pending    uint64 // waiting for a slow connection

	Resent     uint64 // delivered from history to clients that resumed
	Gaps       uint64 // gap events sent
	Behind     uint64 // times a connection fell behind and turned to the log
	Heartbeats uint64 // heartbeat comments sent
	SentBytes  uint64 // bytes that connections' transports have taken, behind their response heads

	CallbacksLost uint64 // failure callbacks not made because too many were waiting

	Clients     int    // connections now
	Stalled     int    // connections now that take no bytes
	CatchingUp  int    // connections now that read the log
	Late        int    // connections now that take no bytes, or read the log, or both
	RingUsed    uint64 // ring slots between the newest event and the slowest reader
	RingSize    int    // ring slots
	LastEventID uint64 // newest event delivered to every shard's clients, or waiting for patient ones

	Ends Ends // connections that have ended, by reason
}
