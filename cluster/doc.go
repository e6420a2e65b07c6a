// Package cluster lets several hubs be one. Somebody else, an [Orderer], puts events
// into one order and keeps them on several machines; a [Node] connects a hub to it.
// Each hub follows the whole stream, keeps a log of its own as replica and index, and
// serves its connections from there: resumes, filters and windows never ask the
// orderer. IDs are the same on all hubs, so that a client moves between them.
//
// Package cluster/jetstream is an Orderer on NATS JetStream.
package cluster
