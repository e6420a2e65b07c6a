// Package jetstream orders a cluster's events by a stream of NATS JetStream:
//
//	nc, err := nats.Connect("nats://a,nats://b,nats://c", jetstream.ConnOptions()...)
//	stream, err := jetstream.Open(ctx, nc, jetstream.WithReplicas(3))
//	node := cluster.NewNode(stream)
//
// An event's ID is the stream's base, which is the clock at its creation, and its
// sequence. Subjects below the stream's name say whom an event is for:
//
//	spate.b             everyone
//	spate.t.<topic>     everyone who follows the topic, in base64url
//	spate.u.<user>      one user, in base64url
//	spate.m             several users, who are named in a header
//	spate.h             nobody: a question for the stream's end, or a note
//	spate.e             ephemeral events, which are not in the stream
//	spate.n             what nodes say to each other, likewise
//
// A message's data is the event's. Everything else is in headers. One of them has the
// version of this format; a header that a node does not know it passes over.
package jetstream
