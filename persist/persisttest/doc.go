// Package persisttest checks implementations of [persist.Log] and [persist.Store].
//
// Each case says in a sentence which rule was violated. An implementation that
// passes can be given to a hub:
//
//	func TestMyLog(t *testing.T) {
//		persisttest.TestLog(t, func(t *testing.T) persist.Log {
//			return mylog.Open(t.TempDir())
//		})
//	}
package persisttest
