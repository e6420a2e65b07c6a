// Package client is a client for Server-Sent Events of any server. It stays
// connected and resumes, or reads one finite stream.
//
// [NewClient] makes an [SSEClient]. There are three ways to receive:
//
//   - callbacks, one for each type of event, registered by [SSEClient.OnEvent];
//     [SSEClient.Connect] makes the first connection and leaves the rest to a
//     goroutine;
//   - [SSEClient.Events], an iterator that runs in the caller's goroutine and
//     sees events of every type;
//   - [SSEClient.RawEvents], the same without copies.
//
// [Do] reads the one response to a request, to its end: a language model's answer,
// say. [Read] does so for a response that is there already. Requests may have any
// method and body and headers that are fresh at each attempt; responses may be
// compressed; Unix sockets and an http.Client of one's own are taken.
//
// # Reconnecting
//
// When a connection is lost the client waits, connects again and resumes: the
// Last-Event-ID header names the last event it has handed out. It waits for the
// reconnect interval, or for what the stream has told by "retry:", never for
// less, and a random time on top of it (full jitter, so that the clients of a
// restarted server don't come back all at once). What is added is bounded by the
// interval first; the bound doubles with each attempt that fails up to the maximal
// backoff, and begins anew after a healthy connection. A Retry-After of a 429 or
// 503 makes the wait at least as long. [WithMaxTries] and [WithMaxDowntime] say
// when it is enough.
//
// A connection on which nothing arrives for a minute, neither event nor comment,
// counts as lost: a server that lost power or network says no goodbye. Spate hubs
// send a comment after 15 s of silence. For a server that sends none, switch this
// off by a negative [WithIdleTimeout].
//
// Redirects are followed. Where all on the way are permanent (301, 308), later
// connections go to the end of it at once, until an attempt there fails. Headers that
// were set for one host do not reach another.
//
// # What a hub says
//
// Two types of event are the hub's own word, and no server should use them for
// another purpose. A "gap" event says that events are missing; it is handed out
// like any other, and [SSEClient.OnGap] or [ParseGap] read it. A "disconnect" event
// without an ID of its own, whose data has a "reason", says why the hub ends the
// connection: OnError gets it as an [EndError], and only a callback registered for
// that type, and then the loop too, sees the event. No other type means anything
// to the client: what ends a stream is for [WithEnd] and [WithEndData] to say.
//
// # The end
//
// The client ends for good when [SSEClient.Disconnect] is called, when an event
// comes that [WithEnd] or [WithEndData] names, when it has tried enough, and when
// trying again can't help: status 204, by which a server asks clients not to come
// back, any 4xx status other than 408, 425 and 429, a response that is no event
// stream, an event larger than the bound. [SSEClient.Wait] tells when,
// [SSEClient.Err] why.
//
// # Across restarts of the program
//
// [WithCheckpoint] stores the position, in a [FileCheckpoint] for example, and
// begins there. [Delivery] says what a crash repeats or loses.
package client
