// Package streams names the streams of the index that the logs keep.
//
// Every record is in one or more streams, which the index lists by ID: those for
// everyone in one, by topic; those with an audience in one for each user. Private
// records that have a topic are also in a stream of their own, which nobody
// queries but retention by topic needs.
package streams

import "slices"

const (
	Public        = ""  // for everyone, without topic
	TopicPrefix   = "t" // + topic: for everyone who subscribed to it
	UserPrefix    = "u" // + user: names this user
	PrivatePrefix = "p" // + topic: has this topic and names users
)

// Topic is the stream of records for everyone with this topic.
func Topic(topic string) string { return TopicPrefix + topic }

// User is the stream of records that name this user.
func User(user string) string { return UserPrefix + user }

// Private is the stream of records with this topic that name users.
func Private(topic string) string { return PrivatePrefix + topic }

// Each calls fn with the prefix and the name of each stream that a record with
// these users (nil: everyone) and this topic is in. For a user who is named twice,
// that may be twice.
func Each(users []string, topic string, fn func(prefix, name string)) {
	if users == nil {
		if topic == "" {
			fn(Public, "")
		} else {
			fn(TopicPrefix, topic)
		}
		return
	}
	if topic != "" {
		fn(PrivatePrefix, topic)
	}
	for i, u := range users {
		if i > 0 && u == users[i-1] {
			continue
		}
		fn(UserPrefix, u)
	}
}

// Selected returns the streams of a query, without doubles. No record is in two of
// them.
func Selected(public bool, topics []string, user string) []string {
	names := make([]string, 0, 2+len(topics))
	if public {
		names = append(names, Public)
	}
	for _, t := range topics {
		if t != "" {
			names = append(names, Topic(t))
		}
	}
	if user != "" {
		names = append(names, User(user))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
