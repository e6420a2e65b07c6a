// Package compress has the content codings that a hub can give its streams: pass
// them to engine.WithEncodings. Who does not, links nothing of it.
//
// A run of events is coded by itself and sent to many connections, whatever each
// of them got before. So no coding here refers back to an earlier run, and each
// run ends so that a receiver has all of it at once.
package compress
