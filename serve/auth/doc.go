// Package auth has ready-made authorizers for streams and pushes: JWTs ([JWT]),
// tokens of a file ([StaticTokens]), tickets for browsers that can't send headers
// ([Tickets]), client certificates ([MutualTLS]), and several of them in turn
// ([First]). [Revocations] puts an end to what they allowed.
//
// What each of them answers: 401 where there are no credentials or none that are
// good, 403 where good ones are used from where they may not be, 400 where the
// request contradicts itself, 503 where the keys are not to be had at present.
// Why a credential is no good is told only to who holds one that was good once.
package auth
