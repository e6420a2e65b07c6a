package engine

// What a shard's runner works in, kept from one batch and one client to the next so
// that nothing is allocated. None of it means anything between two passes, but for touched
// while marks of one event go on.

// fan is what a fan-out works in.
type fan struct {
	join    [forms]joined // the batch for everybody, in the forms asked for so far
	coded   codedBatch    // the same, or what of it is for some, in stretches
	variant variants      // the batch by audience and form
	touched []*client     // those with bits
	offline []uint32      // of the audience being marked, by index
	read    clientState   // of nothing, but that clients are read ahead (fetch)
	passes  states        // of clients that it is not for
}

// begin makes it empty, for a batch that is all for everybody, in so many forms.
func (f *fan) begin(forms int) {
	for i := range forms {
		f.join[i].reset()
	}
	f.coded.reset()
}

// touch marks a client for an event of the batch.
func (f *fan) touch(c *client, bit uint64) {
	if c.bits == 0 {
		f.touched = append(f.touched, c)
	}
	c.bits |= bit
}

// untouch forgets who was marked.
func (f *fan) untouch() {
	clear(f.touched)
	f.touched = f.touched[:0]
}

// forgetOffline lets go of the list if it is a large one: the largest audience of a
// day.
func (f *fan) forgetOffline() {
	if cap(f.offline) > maxBatch {
		f.offline = nil
	}
}

// gathered is what is put together for one client that is not live.
type gathered struct {
	run     gatherer
	newest  map[conflationKey]position // under conflation, of what waits
	skipped []position                 // left out of run, because newer events replace them
}

// begin makes it empty, for a client of the form.
func (g *gathered) begin(f Form) {
	g.run.begin(f)
	g.skipped = g.skipped[:0]
}

// forgetNewest returns newest, empty.
func (g *gathered) forgetNewest() map[conflationKey]position {
	if g.newest == nil {
		g.newest = map[conflationKey]position{}
	}
	clear(g.newest)
	return g.newest
}

// words are what shards say for themselves, as they said it last.
type words struct {
	gap      gapWord
	farewell farewellWord
	spoken   []byte // the last one that was coded
}
