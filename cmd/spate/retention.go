package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// topicRetention is the flag --retain-topic: bounds of single topics, each as topic=bound:value,bound:value. It may be
// given several times; in the environment it is one list with semicolons.
type topicRetention struct{ topics map[string]persist.Retention }

const topicRetentionForm = "give topic=bounds such as prices=count:1000,age:1h,bytes:10MB, * for topics without bounds of their own"

// String returns what Set reads, by topic.
func (v *topicRetention) String() string { return strings.Join(v.items(), ";") }

func (v *topicRetention) reset()                     { v.topics = nil }
func (v *topicRetention) split(text string) []string { return strings.Split(text, ";") }

func (v *topicRetention) items() []string {
	var list []string
	for name, r := range v.topics {
		var bounds []string
		if r.MaxAge > 0 {
			bounds = append(bounds, "age:"+(*ageValue)(&r.MaxAge).String())
		}
		if r.MaxCount > 0 {
			bounds = append(bounds, "count:"+strconv.FormatInt(r.MaxCount, 10))
		}
		if r.MaxBytes > 0 {
			bounds = append(bounds, "bytes:"+(*sizeValue)(&r.MaxBytes).String())
		}
		list = append(list, name+"="+strings.Join(bounds, ","))
	}
	slices.Sort(list)
	return list
}

// Set adds the bounds of one topic.
func (v *topicRetention) Set(text string) error {
	at := strings.LastIndexByte(text, '=') // a topic may have one, bounds have none
	if at <= 0 {
		return errors.New(topicRetentionForm)
	}
	topic, bounds := text[:at], text[at+1:]
	var fe *wire.FieldError
	if _, err := wire.TopicPattern(topic); topic != persist.AnyTopic && errors.As(err, &fe) {
		return fmt.Errorf("topic %.64q: %s", topic, fe.Reason)
	}
	if _, twice := v.topics[topic]; twice {
		return fmt.Errorf("topic %q is given twice", topic)
	}
	r, err := parseBounds(bounds)
	if err != nil {
		return fmt.Errorf("topic %q: %w", topic, err)
	}
	if v.topics == nil {
		v.topics = make(map[string]persist.Retention)
	}
	v.topics[topic] = r
	return nil
}

// parseBounds reads one or more bounds, each positive and given once: a zero would read as "keep nothing" and mean
// "keep all".
func parseBounds(text string) (r persist.Retention, err error) {
	given := make(map[string]bool, 3)
	for bound := range strings.SplitSeq(text, ",") {
		name, value, valued := strings.Cut(bound, ":")
		if given[name] {
			return r, fmt.Errorf("%s is given twice", name)
		}
		given[name] = true
		positive := false
		switch name {
		case "age":
			err = (*ageValue)(&r.MaxAge).Set(value)
			positive = r.MaxAge > 0
		case "count":
			err = (*countValue)(&r.MaxCount).Set(value)
			positive = r.MaxCount > 0
		case "bytes":
			err = (*sizeValue)(&r.MaxBytes).Set(value)
			positive = r.MaxBytes > 0
		default:
			return r, errors.New(topicRetentionForm)
		}
		if !valued {
			return r, fmt.Errorf("%s has no value: write it as %s", name, map[string]string{
				"age": "age:1h", "count": "count:1000", "bytes": "bytes:10MB"}[name])
		}
		if err != nil && name != "count" {
			return r, fmt.Errorf("%s:%s: %w", name, value, err)
		}
		if err != nil || !positive {
			return r, fmt.Errorf("%s:%s: give a positive %s, or leave it out for no bound", name, value, map[string]string{
				"age": "duration", "count": "number", "bytes": "size"}[name])
		}
	}
	return r, nil
}

// whole reports whether r bounds the log as a whole.
func whole(r persist.Retention) bool { return r.MaxAge > 0 || r.MaxCount > 0 || r.MaxBytes > 0 }

// boundsOf is r for JSON.
func boundsOf(r persist.Retention) boundsStats {
	return boundsStats{AgeSeconds: r.MaxAge.Seconds(), Records: r.MaxCount, Bytes: r.MaxBytes}
}

// retentionOf is r with its topics for JSON.
func retentionOf(r persist.Retention) retentionStats {
	s := retentionStats{boundsStats: boundsOf(r)}
	for name, t := range r.Topics {
		if s.Topics == nil {
			s.Topics = make(map[string]boundsStats, len(r.Topics))
		}
		s.Topics[name] = boundsOf(t)
	}
	return s
}

// logRetention is what the log is told. A log in memory that has no bounds, or is bounded by topic alone, keeps those
// that it has by default: nothing else would keep it from taking all memory there is.
func (c *serveConfig) logRetention() persist.Retention {
	r := c.retention
	if c.memory && !whole(r) {
		r.MaxCount, r.MaxBytes = persist.DefaultMemoryCount, persist.DefaultMemoryBytes
	}
	return r
}
