package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// This file is the world of the model check: the real ring, shard, journal
// books and catch-up code, with nothing that runs by itself. Every step of a
// publisher, the log, its reader, the shard, the clock, the sink and the client
// is an action that the explorer in model_test.go calls in any order.

// modelStart is the ID before the first event. IDs of four digits make all
// frames equally long. An event's data is modelStart and its position.
const modelStart = 1000

// modelFrame is the length of every event's frame.
const modelFrame = len("id: 1001\ndata: 1001\n\n")

// modelSetup is one variant of the world.
type modelSetup struct {
	name      string
	log       bool
	indexed   bool // the log is a Querier
	immediate bool
	conflate  bool
	policy    Policy
	form      Form
	old       int // events in the log, or pushed, before the client comes
	resumes   bool
	noResend  bool // history is not served
	follows   bool // IDs come from elsewhere, with holes
	unknown   bool // the client comes with an ID that was never issued
}

var errModelLog = errors.New("log refuses")

type modelWorld struct {
	modelSetup
	h   *Hub
	s   *shard
	log *modelLog

	run    *journalRun // appended, not yet settled
	runErr error
	read   *history // a reader has its answer, and has not given it

	events map[position]modelEvent
	given  eventID // the last ID given by somebody else
	client *client // that has taken its seat
	sink   *modelSink
	seat   *Seat // not yet taken
	stand  point // where the latest seat was taken

	from    eventID  // the client's last ID, or where it started
	lastSeq position // last event received, ephemeral ones included
	toldTo  eventID  // end of the latest gap told
	newest  map[string]uint64
	failed  []string // broken promises
}

// modelEvent is what the world knows of an event.
type modelEvent struct {
	at        point // its ID, or of an ephemeral one that of those before it
	mine      bool
	ephemeral bool
	key       string
	failed    bool
	fate      byte // 'd' delivered, 'g' told as lost, 0 neither
}

func newModelWorld(setup modelSetup) *modelWorld {
	opts := []HubOption{WithChanBufferSize(16), WithLogger(slog.New(slog.DiscardHandler)),
		WithShards(1), WithHeartbeat(-1), WithPushTimeout(1<<30, 1), WithPolicy(setup.policy)}
	cfg := newConfig(opts)
	cfg.immediate, cfg.resend = setup.immediate, !setup.noResend
	w := &modelWorld{modelSetup: setup, events: map[position]modelEvent{}, newest: map[string]uint64{}}
	if setup.follows {
		cfg.assign = func(context.Context, []string, []*wire.Event) ([]uint64, error) { panic("nobody pushes") }
	}
	var log persist.Log
	if setup.log {
		w.log = &modelLog{}
		log = w.log
		if setup.indexed {
			log = modelQuerier{w.log}
		}
	}
	h := buildHub(cfg, log, modelStart)
	h.wakeStep, h.tryTicks = 1, 1
	if w.given = modelStart; setup.follows {
		h.follow.from.Store(modelStart)
	}
	w.h, w.s = h, h.shards[0]
	w.from = modelStart
	for range setup.old {
		w.publish(1)
		w.flow()
	}
	if !setup.resumes {
		w.from, w.lastSeq = h.latest().id, h.latest().pos
		for id, e := range w.events {
			e.mine = false
			w.events[id] = e
		}
	}
	w.connect(setup.resumes)
	w.take()
	return w
}

// connect decides where a client begins; again says that it comes with its last
// ID.
func (w *modelWorld) connect(again bool) {
	sub := Subscription{UID: "me", Topics: []string{"t"}, Form: w.form, Conflate: w.conflate, StallTimeout: -1}
	if again {
		sub.LastEventID = wire.FormatID(uint64(w.from))
		if w.unknown {
			sub.LastEventID = "9" + sub.LastEventID
		}
	}
	seat, err := w.h.Seat(context.Background(), sub)
	if err != nil {
		w.fail("seat: %v", err)
		return
	}
	w.seat, w.stand = seat, w.h.latest()
}

// take takes the seat.
func (w *modelWorld) take() bool {
	if w.seat == nil {
		return false
	}
	w.sink = &modelSink{w: w}
	s, err := w.seat.Take(w.sink)
	if err != nil {
		w.fail("take: %v", err)
	}
	w.seat, w.client = nil, s.c
	return true
}

func (w *modelWorld) fail(format string, args ...any) {
	w.failed = append(w.failed, fmt.Sprintf(format, args...))
}

// modelKinds are the events pushed, in turn: for everyone, for the client, for
// its topic, for others, ephemeral.
var modelKinds = []string{"all", "me", "topic", "other", "fleeting", "all", "both", "othertopic"}

func modelKind(p position) string { return modelKinds[p%position(len(modelKinds))] }

// last is the position of the event published last.
func (w *modelWorld) last() position { return position(w.h.ring.Claimed()) }

// publish pushes n events, if the ring has room.
func (w *modelWorld) publish(n int) bool {
	next, logged := w.last()+1, 0
	if w.follows {
		return w.apply(n)
	}
	for p := next; p < next+position(n); p++ {
		if modelKind(p) != "fleeting" {
			logged++
		}
	}
	first, number, ok := w.h.ring.TryClaimNumbered(n, logged)
	if !ok {
		return false
	}
	ids := numbering{prev: eventID(number) - 1}
	for p := position(first); p < position(first)+position(n); p++ {
		at := ids.prev + 1
		if modelKind(p) == "fleeting" {
			at = ids.prev
		}
		if !w.fill(p, at, &ids) {
			return false
		}
	}
	w.h.ring.Publish(first, n)
	return true
}

// fill puts the event of a position into its slot; at is its ID, or of an
// ephemeral one that of those before it.
func (w *modelWorld) fill(seq position, at eventID, ids *numbering) bool {
	kind := modelKind(seq)
	e := &wire.Event{Data: strconv.Itoa(modelStart + int(seq))}
	m := modelEvent{mine: true, at: point{seq, at}}
	var uids []string
	switch kind {
	case "me":
		uids = []string{"me"}
	case "both":
		uids = []string{"me", "you"}
	case "other":
		uids, m.mine = []string{"you"}, false
	case "topic":
		e.Topic = "t"
	case "othertopic":
		e.Topic, m.mine = "u", false
	case "fleeting":
		e.Ephemeral, m.ephemeral = true, true
	}
	if w.conflate && seq%3 != 0 {
		e.Key = "k" + strconv.Itoa(int(seq%2))
		m.key = fmt.Sprint(e.Topic, "/", e.Key, e.Ephemeral)
	}
	w.events[seq] = m
	var load parcel
	events := []*wire.Event{e}
	bufs, err := w.h.pack(&load, nil, uids, events)
	if err != nil {
		w.fail("pack: %v", err)
		return false
	}
	w.h.frames.held.Add(load.held)
	w.h.fillSlots(seq, ids, &load, bufs, events, nil)
	return true
}

// apply is publish with IDs that come from elsewhere: one batch after the other is
// kept, and one that was not comes again.
func (w *modelWorld) apply(n int) bool {
	if w.log != nil && position(w.h.journal.done.Cursor()) != w.last() {
		return false
	}
	first, ok := w.h.ring.TryClaim(n)
	if !ok {
		return false
	}
	for p := position(first); p < position(first)+position(n); p++ {
		ids := numbering{prev: w.given, given: []eventID{0}}
		if modelKind(p) != "fleeting" {
			w.given += 1 + eventID(p)%3
			ids.given[0] = w.given
		}
		if !w.fill(p, w.given, &ids) {
			return false
		}
	}
	if w.log == nil {
		w.h.follow.reach(point{position(first) + position(n) - 1, w.given})
	}
	w.h.ring.Publish(first, n)
	return true
}

// append puts what is published into the log, as the journal's first step.
func (w *modelWorld) append(fails bool) bool {
	j := w.h.journal
	if j == nil || w.run != nil {
		return false
	}
	from, to, ok := j.intake.TryNext(16)
	if !ok {
		return false
	}
	w.run, w.runErr = &journalRun{from: position(from), to: position(to)}, nil
	j.fill(w.run)
	if fails && w.immediate {
		w.run = nil
		return false // connections may have it all the same
	}
	j.intake.Advance(to)
	if fails {
		w.runErr = errModelLog
		for seq := w.run.from; seq <= w.run.to; seq++ {
			if e := w.events[seq]; !e.ephemeral {
				e.failed = true
				w.events[seq] = e
			}
		}
	} else {
		w.log.add(w.run.recs)
	}
	return true
}

// settle is the journal's second step.
func (w *modelWorld) settle() bool {
	if w.run == nil {
		return false
	}
	w.h.journal.settle(w.run, w.runErr)
	w.run = nil
	if w.runErr != nil && w.follows {
		w.given = w.h.committed()
	}
	return true
}

func (w *modelWorld) pass() {
	w.s.pass()
	if err := w.s.audit(); err != nil {
		w.fail("audit: %v", err)
	}
}

// flow takes what is published all the way to the client's sink.
func (w *modelWorld) flow() {
	w.settle()
	w.append(false)
	w.settle()
	w.pass()
}

// readPage is the reader's work; what happens between its looks at the log is
// given.
func (w *modelWorld) readPage(between func()) bool {
	c := w.h.catchup
	if w.read != nil || c.mu.lanes[cheap].queue.size == 0 {
		return false
	}
	w.read = c.mu.lanes[cheap].queue.pop()
	c.mu.lanes[cheap].open++
	if w.log != nil {
		w.log.between = between
	}
	w.read.result = c.segment(w.read)
	if w.log != nil {
		w.log.between = nil
	}
	return true
}

func (w *modelWorld) answer() bool {
	if w.read == nil {
		return false
	}
	if !w.read.c.attend(attendPage) {
		w.h.catchup.answered(w.read.c)
	}
	w.read = nil
	return true
}

// allow gives the sink room for so many bytes more.
func (w *modelWorld) allow(n int) bool {
	if w.seat != nil || w.sink.room > 8*modelFrame {
		return false
	}
	if w.form == FormChunked {
		n += n / modelFrame * len("15\r\n\r\n")
	}
	w.sink.room += n
	Subscriber{w.client}.Writable()
	return true
}

// retain lets retention take the older half of the log.
func (w *modelWorld) retain() bool {
	if w.log == nil || len(w.log.recs) < 2 {
		return false
	}
	n := len(w.log.recs) / 2
	w.log.floor = w.log.recs[n-1].ID
	w.log.recs = slices.Clone(w.log.recs[n:])
	return true
}

// hangUp ends the connection, and takeSeat comes back with the last ID.
func (w *modelWorld) hangUp() {
	if w.seat == nil {
		Subscriber{w.client}.Hangup(nil)
	}
	w.sink.gone = true
}

func (w *modelWorld) takeSeat() {
	w.toldTo, w.lastSeq = 0, 0
	for seq, e := range w.events { // what was told as lost may be there all the same
		if !e.ephemeral && !e.failed && e.at.id == w.from {
			w.lastSeq = seq
		}
		if e.fate == 'g' && e.at.id > w.from {
			e.fate = 0
			w.events[seq] = e
		}
	}
	w.connect(true)
}

func (w *modelWorld) tick() {
	w.s.ticks.Add(1)
	w.pass()
}

// drain lets everything come to its end: the client must then be live, and
// have or be told of everything.
func (w *modelWorld) drain() {
	w.take()
	w.sink.room = 1 << 30
	Subscriber{w.client}.Writable()
	for range 60 {
		w.flow()
		if !w.readPage(nil) && !w.answer() {
			w.tick()
		}
		w.answer()
		if w.client.state == stateLive && w.s.cursor() == w.last() && w.s.mail.Empty() {
			w.pass()
			w.checkEnd()
			return
		}
	}
	w.fail("never live again: state %d, pos %d, cursor %d", w.client.state, w.client.pos, w.s.cursor())
}

func (w *modelWorld) checkEnd() {
	last := map[string]position{}
	for seq := position(1); seq <= w.last(); seq++ {
		e := w.events[seq]
		if e.mine && !e.failed && e.key != "" && seq > last[e.key] && (!e.ephemeral || e.fate != 0) {
			last[e.key] = seq
		}
	}
	for seq := position(1); seq <= w.last(); seq++ {
		e := w.events[seq]
		if !e.mine || e.failed || e.ephemeral || e.fate != 0 {
			continue
		}
		if e.key == "" || last[e.key] == seq {
			w.fail("event %d never came, and no gap told so", seq)
		}
	}
}

// received checks one frame as the client gets it.
func (w *modelWorld) received(frame string) {
	if strings.HasPrefix(frame, "event: gap\n") {
		w.receivedGap(frame)
		return
	}
	data := frame[strings.Index(frame, "data: ")+6 : len(frame)-2]
	n, err := strconv.Atoi(data)
	if err != nil {
		w.fail("frame %q", frame)
		return
	}
	seq := position(n - modelStart)
	e := w.events[seq]
	switch {
	case !e.mine:
		w.fail("event %d is not for the client", seq)
	case e.failed:
		w.fail("event %d was refused by the log", seq)
	case seq <= w.lastSeq:
		w.fail("event %d came after %d", seq, w.lastSeq)
	case e.fate == 'd':
		w.fail("event %d came twice", seq)
	case e.fate == 'g':
		w.fail("event %d was told as lost", seq)
	case w.s.cursor() < seq && w.s.high.pos < seq:
		w.fail("event %d came before the shard was there", seq)
	case e.ephemeral == strings.HasPrefix(frame, "id: "):
		w.fail("frame %q", frame)
	}
	for missed := position(1); missed < seq; missed++ {
		if m := w.events[missed]; m.at.id > w.from && m.mine && !m.ephemeral && !m.failed && m.fate == 0 && m.key == "" {
			w.fail("event %d came before %d", seq, missed)
		}
	}
	e.fate = 'd'
	w.events[seq] = e
	w.lastSeq = seq
	if !e.ephemeral {
		w.from = e.at.id
	}
}

func (w *modelWorld) receivedGap(frame string) {
	var g Gap
	if err := json.Unmarshal([]byte(frame[strings.Index(frame, "data: ")+6:len(frame)-2]), &g); err != nil {
		w.fail("gap %q: %v", frame, err)
		return
	}
	if w.unknown && len(g.From) == 5 {
		g.From = g.From[1:] // where the client really was
	}
	f, _ := wire.ParseID(g.From)
	t, _ := wire.ParseID(g.To)
	from, to := eventID(f), eventID(t)
	if from < w.from || to < from || to > w.h.latest().id {
		w.fail("gap from %d to %d for a client at %d", from, to, w.from)
	}
	lost := false
	for seq := position(1); seq <= w.last(); seq++ {
		e := w.events[seq]
		if e.at.id < w.from || e.at.id > to {
			continue
		}
		if e.mine && e.ephemeral && e.fate == 0 && e.at.id >= from {
			lost = true
		}
		if !e.mine || e.failed || e.ephemeral || e.fate == 'd' || e.key != "" || e.at.id == w.from {
			continue
		}
		if e.at.id <= from && e.fate == 0 {
			w.fail("event %d is before the gap from %d, and did not come", seq, from)
		}
		lost = true
		e.fate = 'g'
		w.events[seq] = e
	}
	for seq := position(1); seq <= w.last(); seq++ {
		if e := w.events[seq]; !e.ephemeral && e.at.id > from && e.at.id <= to && e.key != "" && e.fate == 0 {
			e.fate = 'g'
			w.events[seq] = e
		}
	}
	drops := w.policy == PolicyRetry || w.policy == PolicyDropOldest
	switch {
	case w.modelSetup.log && !drops:
		if floor := eventID(w.log.floor); (from >= floor || to > floor) && !w.atSeat(from, to) {
			w.fail("gap from %d to %d, but the log has everything after %d", from, to, w.log.floor)
		}
	case w.modelSetup.log && from < eventID(w.log.floor):
	case w.atSeat(from, to):
	case !lost && !w.conflate && from >= w.s.oldestID() && w.toldTo < from:
		w.fail("gap from %d to %d, but the window begins after %d and nothing was lost", from, to, w.s.oldestID())
	}
	w.toldTo = max(w.toldTo, to)
}

// atSeat says whether a gap is one with which a connection begins whose ID does
// not count: up to the seat and no further, or what was pushed since is lost.
func (w *modelWorld) atSeat(from, to eventID) bool {
	return (w.noResend && from < to || w.unknown) && to == w.stand.id
}

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

// modelLog is a log with pages of two records.
type modelLog struct {
	recs    []persist.Record
	last    uint64
	floor   uint64
	between func() // happens after a look at the bounds, before the reading
}

const modelPage = 2

func (l *modelLog) add(recs []persist.Record) {
	for _, r := range recs {
		r.Frame, r.Users = bytes.Clone(r.Frame), slices.Clone(r.Users)
		l.recs = append(l.recs, r)
		l.last = r.ID
	}
}

func (l *modelLog) page(after uint64, selects func(*persist.Record) bool) (persist.Page, error) {
	if fn := l.between; fn != nil {
		l.between = nil
		fn()
	}
	p := persist.Page{UpTo: after}
	for i := range l.recs {
		r := l.recs[i]
		if r.ID <= after || !selects(&r) {
			continue
		}
		if len(p.Records) == modelPage {
			return p, nil
		}
		p.Records = append(p.Records, r)
		p.UpTo = r.ID
	}
	p.UpTo = max(p.UpTo, l.last)
	return p, nil
}

func (l *modelLog) Append(context.Context, []persist.Record) error { return nil }
func (l *modelLog) Read(_ context.Context, after uint64, _ persist.Limit) (persist.Page, error) {
	return l.page(after, func(*persist.Record) bool { return true })
}
func (l *modelLog) First() uint64 {
	if len(l.recs) == 0 {
		return 0
	}
	return l.recs[0].ID
}
func (l *modelLog) Last() uint64            { return l.last }
func (l *modelLog) Floor(_ []string) uint64 { return l.floor }
func (l *modelLog) Close() error            { return nil }
func (l *modelLog) Has(_ context.Context, id uint64) (bool, error) {
	return slices.ContainsFunc(l.recs, func(r persist.Record) bool { return r.ID == id }), nil
}

// modelQuerier has an index.
type modelQuerier struct{ *modelLog }

func (l modelQuerier) Query(_ context.Context, q persist.Query, after uint64, _ persist.Limit) (persist.Page, error) {
	return l.page(after, func(r *persist.Record) bool {
		if r.Users != nil {
			return slices.Contains(r.Users, q.User)
		}
		return r.Topic == "" && q.Public || r.Topic != "" && slices.Contains(q.Topics, r.Topic)
	})
}
