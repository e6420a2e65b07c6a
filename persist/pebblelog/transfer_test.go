package pebblelog_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// TestExportImport holds that an import of an export is the same log: every record, byte
// by byte, whatever its frame is made of.
func TestExportImport(t *testing.T) {
	rng := logtest.Seeded(t, "persist/pebblelog")
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))
	recs := logtest.RandomRecords(rng, 3000, 0)
	last := recs[len(recs)-1].ID
	for i, e := range []*wire.Event{
		{Event: "order", Data: "a\nb\n", Retry: 3 * time.Second},
		{Data: "<&> \u2028 \x00"},
		{Data: ""},
	} {
		e.ID = wire.FormatID(last + 1 + uint64(i))
		r, err := persist.RecordOf(e, time.UnixMilli(12345))
		require.NoError(t, err)
		recs = append(recs, r)
	}
	recs = append(recs, persist.Record{ID: last + 10, Time: 1, Frame: fmt.Appendf(nil, ": a comment\nid: %d\ndata:x\n\n", last+10)})
	require.NoError(t, l.Append(ctx, recs))
	var out bytes.Buffer
	n, err := pebblelog.Export(ctx, l, 0, &out)
	require.NoError(t, err)
	require.Equal(t, int64(len(recs)), n)
	for text := range strings.Lines(out.String()) {
		require.True(t, json.Valid([]byte(text)), text)
	}

	again := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()))
	n, err = pebblelog.Import(ctx, again, bytes.NewReader(out.Bytes()), 0)
	require.NoError(t, err)
	require.Equal(t, int64(len(recs)), n)
	require.Equal(t, logtest.ReadAll(t, l, 0, 1000), logtest.ReadAll(t, again, 0, 1000))
	requireIssued(t, again, true, recs[0].ID, last)
	requireIssued(t, again, false, last+11)

	_, err = pebblelog.Import(ctx, again, bytes.NewReader(out.Bytes()), 0)
	require.ErrorIs(t, err, persist.ErrOrder)
	var rest bytes.Buffer
	n, err = pebblelog.Export(ctx, l, last, &rest)
	require.NoError(t, err)
	require.Equal(t, int64(4), n)
	require.NoError(t, l.Close())
	require.NoError(t, again.Close())
}

// TestImportRefuses holds that what can't be meant is refused with its line.
func TestImportRefuses(t *testing.T) {
	good := `{"id":"1","time":"2026-01-01T00:00:00Z","data":"x"}` + "\n"
	for _, bad := range []string{
		`{"id":"x","time":"2026-01-01T00:00:00Z","data":"x"}`,
		`{"id":"2","time":"yesterday","data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"x","colour":"red"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","event":"a\nb","data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"x","frame":"AAAA"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"x","retry":"soon"}`,
		`{"id":"2"`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"` + "\xff" + `"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","users":["` + "\xed\xa0\x80" + `"],"data":"x"}`,
		`[]`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","event":"gap","data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","event":"disconnect","data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"\ud800"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","users":["\udbff"],"data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"` + strings.Repeat("x", 1001) + `"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"x","data":"y"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","Data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z"}`,
		`{"id":"2","data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","users":null,"data":"x"}`,
		`{"id":"2","time":"2026-01-01T00:00:00Z","users":[],"data":"x"}`,
		`{"id":"18446744073709551614","time":"2026-01-01T00:00:00Z","data":"x"}`,
		framed("id: 2\ndata: x\n\nevent: gap\ndata: x\n\n"),
		framed("id: 2\ndata: x\n\ndata: more\n"),
		framed("id: 2\ndata: x\n\nid: 9\n\n"),
		framed("id: 2\ndata: x\n\nevent: gap\n"),
		framed("id: 3\ndata: x\n\n"),
		framed("data: x\n\n"),
		framed("id: 2\ndata: y\n\n"),
		framed("id: 2\nevent: gap\ndata: x\n\n"),
	} {
		l := persist.NewMemory()
		_, err := pebblelog.Import(ctx, l, strings.NewReader(good+bad+"\n"), 1000)
		require.ErrorContains(t, err, "line", bad)
		require.ErrorContains(t, err, " 2:", bad)
	}
	l := persist.NewMemory()
	_, err := pebblelog.Import(ctx, l, strings.NewReader(good+good), 0)
	require.ErrorContains(t, err, "lines 1 to 2")
	require.ErrorIs(t, err, persist.ErrOrder)
}

// What is wrong is told by the field's name, in words of the line and not of the program.
func TestImportNamesTheField(t *testing.T) {
	for bad, want := range map[string]string{
		`{"id":7,"time":"2026-01-01T00:00:00Z","data":"x"}`:                   "line 1: id has to be a text",
		`{"id":"x","time":"2026-01-01T00:00:00Z","data":"x"}`:                 `line 1: id: "x" is no event ID`,
		`{"id":"2","time":1,"data":"x"}`:                                      "line 1: time has to be a time such as",
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"` + "\xff" + `"}`:    "line 1: data is not valid UTF-8",
		`{"id":"2","time":"2026-01-01T00:00:00Z","topic":"\ud800","data":""}`: "line 1: topic has half of a surrogate pair",
		`{"id":"2","time":"2026-01-01T00:00:00Z","users":"tom","data":"x"}`:   "line 1: users has to be a list of texts",
		`{"id":"2","time":"2026-01-01T00:00:00Z","data":"x","frame":"%"}`:     "line 1: frame has to be a text in base64",
	} {
		_, err := pebblelog.Import(ctx, persist.NewMemory(), strings.NewReader(bad+"\n"), 0)
		require.ErrorContains(t, err, want)
	}
}

// framed is a line with a frame of its own.
func framed(frame string) string {
	return `{"id":"2","time":"2026-01-01T00:00:00Z","data":"x","frame":"` + base64.StdEncoding.EncodeToString([]byte(frame)) + `"}`
}
