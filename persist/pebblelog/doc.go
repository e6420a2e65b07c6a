// Package pebblelog keeps a hub's events on disk, in a Pebble database.
//
// [Open] takes a folder, which only one log may have open. What the log promises is
// said at [persist.Log]: a batch is taken as a whole or not at all, what was
// acknowledged is still there after kill -9 and, with [WithSync], after a power cut.
package pebblelog
