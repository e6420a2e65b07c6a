package persist

// Every record is in one or more streams, which the index lists by ID: those for
// everyone in one, by topic; those with an audience in one for each user. Private
// records that have a topic are also in a stream of their own, which nobody
// queries but retention by topic needs.
const (
	publicStream  = ""  // for everyone, without topic
	topicPrefix   = "t" // + topic: for everyone who subscribed to it
	userPrefix    = "u" // + user: names this user
	privatePrefix = "p" // + topic: has this topic and names users
)

func topicStream(topic string) string   { return topicPrefix + topic }
func userStream(user string) string     { return userPrefix + user }
func privateStream(topic string) string { return privatePrefix + topic }

// eachStream calls fn with the prefix and the name of each stream r is in. For a
// user who is named twice, that may be twice.
func eachStream(r *Record, fn func(prefix, name string)) {
	if r.Users == nil {
		if r.Topic == "" {
			fn(publicStream, "")
		} else {
			fn(topicPrefix, r.Topic)
		}
		return
	}
	if r.Topic != "" {
		fn(privatePrefix, r.Topic)
	}
	for i, u := range r.Users {
		if i > 0 && u == r.Users[i-1] {
			continue
		}
		fn(userPrefix, u)
	}
}
