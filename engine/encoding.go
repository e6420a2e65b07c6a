package engine

// Encoding is a content coding that streams may have. Package compress has some.
//
// A run of events is coded once and sent to many connections, whatever each got
// before. So a coded run must not refer to an earlier one, and a receiver must have
// all of it without what follows. All methods may be called from any goroutine.
type Encoding interface {
	// Name is the coding's name in Content-Encoding.
	Name() string

	// AppendStart appends what a stream begins with, before any run.
	AppendStart(dst []byte) []byte

	// AppendRun appends the coded run, nothing where the run is empty. It does not
	// keep run. A short one it should rather store than code.
	AppendRun(dst, run []byte) []byte
}
