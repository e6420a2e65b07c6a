// Package client is a client for Server-Sent Events that stays connected.
//
// [NewClient] makes an [SSEClient]. There are two ways to receive:
//
//   - callbacks, one for each type of event, registered by [SSEClient.OnEvent];
//     [SSEClient.Connect] makes the first connection and leaves the rest to a
//     goroutine;
//   - [SSEClient.Events], an iterator that runs in the caller's goroutine and
//     sees events of every type.
//
// # Reconnecting
//
// When a connection is lost the client waits, connects again and resumes: the
// Last-Event-ID header names the last event it has handed out. Waits are random
// between zero and a bound (full jitter, so that the clients of a restarted
// server don't come back all at once). The bound begins at the reconnect
// interval, or at what the stream has told by "retry:", doubles with each
// attempt that fails up to the maximal backoff, and begins anew after a healthy
// connection: one that has brought an event, or has been open for as long as the
// maximal backoff. Where a 429 or 503 response has a Retry-After, that is added
// to the wait.
//
// A Spate hub that closes a connection tells why by an event of type "disconnect".
// It is no event of the application: only a callback registered for that type gets
// it, and then the iterator too. OnDisconnect's error is an [EndError] with the
// reason. Nothing else depends on it, and the client resumes as ever. So the type
// is taken, whatever the server: an event without an ID of its own, of the type
// "disconnect", whose data has a "reason", is not seen without such a callback.
//
// A connection on which nothing arrives for a minute, neither event nor comment,
// counts as lost: a server that lost power or network says no goodbye. Spate hubs
// send a comment after 15 s of silence. For a server that sends none, switch this
// off by a negative [WithIdleTimeout].
//
// # The end
//
// The client ends for good when [SSEClient.Disconnect] is called, when the
// server asks for it by an event of type "close" or by status 204, and when
// trying again can't help: any other 4xx status than 408, 425 and 429, a
// response that is no event stream, an event larger than the bound.
// [SSEClient.Wait] tells when, [SSEClient.Err] why.
package client
