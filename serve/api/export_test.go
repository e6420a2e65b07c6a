package api

import "time"

// SetAnswerTime sets how long a peer may take for an answer, until undo is called.
func SetAnswerTime(d time.Duration) (undo func()) {
	before := answerTime
	answerTime = d
	return func() { answerTime = before }
}
