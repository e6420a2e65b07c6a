// Package wire is the Server-Sent Events format: the [Event], an encoder that
// appends frames to a buffer without allocating, and a streaming parser.
//
// A frame is what one event looks like on the stream: lines of fields, then a
// blank line. The ID comes first, so that a body encoded before its ID is known
// can be given one in place:
//
//	id: 1718000000000001
//	event: order
//	data: {"total":3}
//
// [AppendEvent] writes a whole frame; [AppendBody] everything but the ID, which
// [PutID] writes into [IDHeadroom] bytes kept free in front of it. With
// [ChunkHeadroom] more, [PutChunk] makes the frame a chunk of HTTP/1.1, also in
// place.
//
// No byte of an ID, a type or data can add a field, an event or a header to the
// stream: what can't be written as one line is refused with a [*FieldError] that
// names the field, and each line of data gets its own "data:".
//
// [Decoder] reads events from an io.Reader; [Parser] is the push-style parser
// below it, which is fed chunks as they come off a socket and allocates nothing.
// Both follow the parsing rules of the WHATWG HTML standard, section 9.2.6
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
package wire
