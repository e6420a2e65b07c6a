// Package stream brings a hub to net/http: streams ([Handler], [Serve]) and the
// push API ([PushHandler]). It links neither a web framework nor metrics; those
// are package serve's.
//
// A stream takes one of two ways to its client. On Linux and HTTP/1 the
// connection is hijacked and its descriptor taken over: the hub's shard writes
// straight to the socket, and an idle connection has neither goroutine nor
// net.Conn. TLS is taken over where the listener is one of [NewTLSListener].
// Everything else (other TLS, HTTP/2, other systems, wrapped connections) goes through the handler's own goroutine and the http.ResponseWriter. Clients
// can't tell the two apart: the head goes out through whatever wraps the
// ResponseWriter, a body that middleware codes goes through the middleware, a
// deadline of the request's context ends the stream with a disconnect event, and
// HTTP/1.1 is in chunks, in each case. docs/protocol.md has a table of what remains
// different for handlers.
//
// The response head and a first comment go out before anything else, and every
// event pushed after the client can have seen the head reaches it. A client
// resumes by the Last-Event-ID header or, where it can't set one, by the query
// parameter last_event_id; the header wins.
package stream
