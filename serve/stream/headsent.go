package stream

import (
	"net/http"
	"reflect"
)

// headSent reports whether the server's own ResponseWriter has its head. A
// wrapper may hold it back until it has seen some of the body, as compressors do,
// and nothing in net/http's contract tells: a connection that is taken over then
// has no head, and the wrapper writes one when it is too late. So this looks at
// the one field that knows. Of a writer without that field only one that nothing
// wraps is believed; a stream behind the others goes through them, which is right
// as well, and dearer.
func headSent(w http.ResponseWriter) bool {
	inner := innermost(w)
	if v := reflect.ValueOf(inner); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if f := v.Elem().FieldByName("wroteHeader"); f.Kind() == reflect.Bool {
			return f.Bool()
		}
	}
	return inner == w
}
