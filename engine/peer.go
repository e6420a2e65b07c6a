package engine

// Peer is what a list of connections tells of who is at the other end. The hub itself
// has no use for it.
type Peer struct {
	Address   string // such as an IP address
	Client    string // what the peer calls itself
	Transport string // the way that its bytes take
}

// UsePeer says who is at the other end, for [Hub.Connections]. It comes before Take.
// The hub keeps p, which must not change from then on: connections may share one.
func (s *Seat) UsePeer(p *Peer) { s.c.peer = p }
