package persisttest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/spatehub/spate/persist"
)

// TestLog checks a Log. open returns a new, empty one each time; TestLog closes
// it. What the log offers beyond [persist.Log], [persist.Querier] and
// [persist.Pipeliner], is checked too.
func TestLog(t *testing.T, open func(t *testing.T) persist.Log) {
	for _, c := range logCases {
		t.Run(c.name, func(t *testing.T) {
			l := open(t)
			defer func() {
				if err := l.Close(); err != nil {
					t.Errorf("Close of a working log returns nil; it returned %v", err)
				}
			}()
			c.run(&logTest{T: t, log: l, rule: c.rule})
		})
	}
}

// logCase is one rule and what shows that it is kept.
type logCase struct {
	name string
	rule string
	run  func(t *logTest)
}

var logCases = []logCase{
	{"empty", "An empty log has First, Last and Floor 0, and a read of it returns UpTo == after.", checkEmpty},
	{"roundtrip", "A record is read as it was appended: ID, users, topic, key and frame.", checkRoundTrip},
	{"order", "A batch whose IDs do not increase or do not follow Last is refused with ErrOrder, as a whole.", checkOrder},
	{"emptybatch", "An empty batch changes nothing and is no error.", checkEmptyBatch},
	{"paging", "Reading on from UpTo returns each record exactly once and in order, whatever the limit.", checkPaging},
	{"bytes", "A page has no more bytes of frames than Limit.Bytes, but always a record if there is one.", checkBytes},
	{"after", "A read returns the records with an ID > after, also where no record has the ID after.", checkAfter},
	{"uptodate", "A reader that has everything gets no records and UpTo == after.", checkUpToDate},
	{"has", "Has reports whether there is a record with just this ID.", checkHas},
	{"ends", "First and Last are the IDs of the oldest and the newest record.", checkEnds},
	{"copyin", "The log keeps no reference to the memory of appended records.", checkCopyIn},
	{"copyout", "The memory of a page belongs to the caller, who may change it.", checkCopyOut},
	{"cancelled", "With a context that is done, nothing is appended, and the error is the context's.", checkCancelled},
	{"closed", "After Close, Append, Read and Has return ErrClosed, and Close returns nil again.", checkClosed},
	{"concurrent", "Readers beside an appender see whole batches, in order, without holes.", checkConcurrent},
	{"query", "Query returns just the records of Read that the query selects, and UpTo tells how far.", checkQuery},
	{"patterns", "Query returns just the records of topics that its patterns match, however many topics and IDs lie between.", checkPatterns},
	{"private", "A query for what is public never returns a record with an audience, nor one user's record to another.", checkPrivate},
	{"runs", "An ID counts as issued if it lies between the first of a run and the last that was appended in it.", checkRuns},
	{"replica", "StartOver removes all records, and Last and Floor are what it is given.", checkReplica},
	{"retainer", "SetRetention: wider bounds hold at once and narrower ones soon, also of topics, and Floor tells of what they removed.", checkRetainer},
	{"kept", "Kept tells of topics how many records can be read, which is the oldest, and when that came.", checkKept},
	{"listed", "Topics names the topics of the records that can be read, each once.", checkListed},
	{"pipeline", "What Begin has taken is readable when wait returns nil, in order, with several under way.", checkPipeline},
}

// logTest is the state of one case.
type logTest struct {
	*testing.T
	log  persist.Log
	rule string
}

// broken ends the case: the rule is violated.
func (t *logTest) broken(format string, args ...any) {
	t.Helper()
	t.Fatalf("%s\n\t"+format, append([]any{t.rule}, args...)...)
}

// must ends the case if err is not nil.
func (t *logTest) must(err error) {
	t.Helper()
	if err != nil {
		t.broken("unexpected error: %v", err)
	}
}

func (t *logTest) append(recs ...persist.Record) {
	t.Helper()
	t.must(t.log.Append(context.Background(), recs))
}

// appendIDs appends a batch of plain records with these IDs.
func (t *logTest) appendIDs(ids ...uint64) {
	t.Helper()
	recs := make([]persist.Record, len(ids))
	for i, id := range ids {
		recs[i] = plain(id)
	}
	t.append(recs...)
}

func (t *logTest) read(after uint64, lim persist.Limit) persist.Page {
	t.Helper()
	page, err := t.log.Read(context.Background(), after, lim)
	t.must(err)
	t.checkPage(after, page)
	return page
}

// checkPage checks what holds for any page.
func (t *logTest) checkPage(after uint64, p persist.Page) {
	t.Helper()
	last, bytes := after, 0
	for _, r := range p.Records {
		if r.ID <= last || r.ID > p.UpTo {
			t.broken("page after %d with UpTo %d has ID %d behind %d", after, p.UpTo, r.ID, last)
		}
		last = r.ID
		bytes += len(r.Frame)
	}
	if p.UpTo < after {
		t.broken("page after %d has UpTo %d", after, p.UpTo)
	}
	if bytes != p.Bytes {
		t.broken("page says it has %d bytes of frames; it has %d", p.Bytes, bytes)
	}
}

// readAll reads on until there is nothing more.
func (t *logTest) readAll(after uint64, lim persist.Limit) []persist.Record {
	t.Helper()
	return t.pages(after, func(after uint64) (persist.Page, error) {
		return t.log.Read(context.Background(), after, lim)
	})
}

// maxPages is how many pages without a record end a case.
const maxPages = 1000

func (t *logTest) pages(after uint64, read func(after uint64) (persist.Page, error)) []persist.Record {
	t.Helper()
	var all []persist.Record
	for idle := 0; idle < maxPages; idle++ {
		p, err := read(after)
		t.must(err)
		t.checkPage(after, p)
		if p.UpTo == after {
			return all
		}
		if len(p.Records) > 0 {
			idle = 0
		}
		all = append(all, p.Records...)
		after = p.UpTo
	}
	t.broken("%d pages after each other had no record and no end", maxPages)
	return nil
}

// frame returns the frame of an event.
func frame(id uint64, data string) []byte {
	return fmt.Appendf(nil, "id: %d\nevent: test\ndata: %s\n\n", id, data)
}

// plain returns a record for everyone.
func plain(id uint64) persist.Record {
	return persist.Record{ID: id, Time: int64(id), Frame: frame(id, "x")}
}

func ids(recs []persist.Record) []uint64 {
	out := make([]uint64, len(recs))
	for i := range recs {
		out[i] = recs[i].ID
	}
	return out
}

// wantErr ends the case unless err is target.
func (t *logTest) wantErr(what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.broken("%s returned %v instead of %v", what, err, target)
	}
}
