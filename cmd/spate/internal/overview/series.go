package overview

import "strconv"

// Series is a number of looks at the hub, by column: all lists have the same length. Rates are per second. A number that
// is not known is null.
type Series struct {
	Time []int64 `json:"time"` // Unix milliseconds

	UpToDate   []int `json:"up_to_date"` // connections, by state
	Stalled    []int `json:"stalled"`
	CatchingUp []int `json:"catching_up"`

	Socket    []int `json:"socket"` // streams, by transport
	TLSSocket []int `json:"tls"`
	HTTP1     []int `json:"http1"`
	HTTP2     []int `json:"http2"`

	Events    []float64 `json:"events"` // accepted, a second
	Delivered []float64 `json:"delivered"`
	Resent    []float64 `json:"resent"`
	SentBytes []float64 `json:"sent_bytes"`
	Lost      []float64 `json:"lost"` // dropped, timed out and failed
	Ends      []float64 `json:"ends"`

	CommitP50 []*float64 `json:"commit_p50"` // milliseconds from push to commit
	CommitP99 []*float64 `json:"commit_p99"`
	SendP50   []*float64 `json:"send_p50"` // milliseconds from commit to the sockets
	SendP99   []*float64 `json:"send_p99"`
	LagP99    []*float64 `json:"lag_p99"` // events that slow connections are behind

	Pending []uint64 `json:"pending"`

	LogRecords []int64 `json:"log_records"`
	LogBytes   []int64 `json:"log_bytes"`
	DiskBytes  []int64 `json:"disk_bytes"`

	CPU        []float64 `json:"cpu"` // percent of one processor
	Resident   []uint64  `json:"resident"`
	Goroutines []int     `json:"goroutines"`
}

func newSeries() Series {
	return Series{
		Time: []int64{}, UpToDate: []int{}, Stalled: []int{}, CatchingUp: []int{},
		Socket: []int{}, TLSSocket: []int{}, HTTP1: []int{}, HTTP2: []int{},
		Events: []float64{}, Delivered: []float64{}, Resent: []float64{}, SentBytes: []float64{}, Lost: []float64{}, Ends: []float64{},
		CommitP50: []*float64{}, CommitP99: []*float64{}, SendP50: []*float64{}, SendP99: []*float64{}, LagP99: []*float64{},
		Pending: []uint64{}, LogRecords: []int64{}, LogBytes: []int64{}, DiskBytes: []int64{},
		CPU: []float64{}, Resident: []uint64{}, Goroutines: []int{},
	}
}

// add appends what a sample says, and how it differs from the one before.
func (s *Series) add(before, now *sample) {
	seconds := float64(now.at-before.at) / 1000
	rate := func(to *[]float64, now, before float64) {
		v := 0.0
		if seconds > 0 {
			v = rounded(max(now-before, 0) / seconds)
		}
		*to = append(*to, v)
	}
	s.Time = append(s.Time, now.at)
	h, b := &now.hub, &before.hub
	// One that takes no bytes may be about to read the log too: each counts once.
	s.UpToDate = append(s.UpToDate, max(h.Clients-h.Late, 0))
	s.Stalled = append(s.Stalled, h.Stalled)
	s.CatchingUp = append(s.CatchingUp, max(h.Late-h.Stalled, 0))
	s.Socket = append(s.Socket, now.transports.Socket)
	s.TLSSocket = append(s.TLSSocket, now.transports.TLSSocket)
	s.HTTP1 = append(s.HTTP1, now.transports.HTTP1)
	s.HTTP2 = append(s.HTTP2, now.transports.HTTP2)
	rate(&s.Events, float64(h.Events), float64(b.Events))
	rate(&s.Delivered, float64(h.Delivered), float64(b.Delivered))
	rate(&s.Resent, float64(h.Resent), float64(b.Resent))
	rate(&s.SentBytes, float64(h.SentBytes), float64(b.SentBytes))
	rate(&s.Lost, float64(lost(now)), float64(lost(before)))
	rate(&s.Ends, float64(ends(now)), float64(ends(before)))
	quantiles(&before.commit, &now.commit, 1e-3, &s.CommitP50, &s.CommitP99)
	quantiles(&before.send, &now.send, 1e-3, &s.SendP50, &s.SendP99)
	quantiles(&before.lag, &now.lag, 1, nil, &s.LagP99)
	s.Pending = append(s.Pending, h.Pending)
	s.LogRecords = append(s.LogRecords, now.records)
	s.LogBytes = append(s.LogBytes, now.bytes)
	s.DiskBytes = append(s.DiskBytes, now.disk)
	rate(&s.CPU, 100*now.cpu, 100*before.cpu)
	s.Resident = append(s.Resident, now.resident)
	s.Goroutines = append(s.Goroutines, now.goroutines)
}

func lost(s *sample) uint64 { return s.hub.Dropped + s.hub.TimedOut + s.hub.Failed }

func ends(s *sample) uint64 {
	e := &s.hub.Ends
	return e.Hangup + e.Overflow + e.Stalled + e.WriteError + e.History + e.Closed + e.Expired + e.Revoked + e.Reconnect
}

// quantiles appends the median, unless p50 is nil, and the 99th percentile. scale is one of the histogram's smallest
// bound in the unit that is told.
func quantiles(before, now *hist, scale float64, p50, p99 *[]*float64) {
	tell := func(to *[]*float64, q float64) {
		if to == nil {
			return
		}
		v, ok := quantile(before, now, q)
		if !ok {
			*to = append(*to, nil)
			return
		}
		v = rounded(v * scale)
		*to = append(*to, &v)
	}
	tell(p50, 0.5)
	tell(p99, 0.99)
}

// rounded leaves four digits of a number: more would fill the wire, and nobody sees them.
func rounded(v float64) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64) // what it was made of
	return short
}
