package stream

import (
	"net/http"
	"reflect"
	"sync/atomic"
)

// passedOn reports whether the server's own ResponseWriter has its head, and exactly n
// bytes of the body. A wrapper may hold them back until it has seen some of the body,
// as compressors do, and nothing in net/http's contract tells: a connection that is
// taken over then has no head, and the wrapper writes one when it is too late. So this
// looks at the two fields that know. Of a writer without those fields only one that
// nothing wraps is believed; a stream behind the others goes through them, which is
// right as well, and dearer.
func passedOn(w http.ResponseWriter, n int) bool {
	inner := innermost(w)
	if v := reflect.ValueOf(inner); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if at := fieldsOf(v.Elem().Type()); at.known {
			return v.Elem().Field(at.head).Bool() && v.Elem().Field(at.body).Int() == int64(n)
		}
	}
	return inner == w
}

// writerFields are where a type of ResponseWriter says what it has written.
type writerFields struct {
	writer     reflect.Type
	known      bool // it says so
	head, body int  // fields
}

// lastWriter is what was looked up last. A server's writers are all of one type.
var lastWriter atomic.Pointer[writerFields]

func fieldsOf(writer reflect.Type) *writerFields {
	if last := lastWriter.Load(); last != nil && last.writer == writer {
		return last
	}
	at := &writerFields{writer: writer}
	head, hasHead := writer.FieldByName("wroteHeader")
	body, hasBody := writer.FieldByName("written")
	if hasHead && hasBody && len(head.Index) == 1 && len(body.Index) == 1 && head.Type.Kind() == reflect.Bool && body.Type.Kind() == reflect.Int64 {
		at.known, at.head, at.body = true, head.Index[0], body.Index[0]
	}
	lastWriter.Store(at)
	return at
}
