// Package api is what operators and programs ask of a hub beside streams and pushes,
// over HTTP: its history in pages, who is online, which connections there are, and
// that some of them end.
//
// All answers are JSON, and all errors problems of RFC 9457, as those of
// serve/stream. IDs are strings of decimal digits: they may be larger than what a
// JSON reader holds exactly.
package api
