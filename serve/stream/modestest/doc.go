// Package modestest runs one test body over every way in which a stream reaches
// its client, behind the frameworks and the middleware that programs have. It is a
// module of its own, so that nobody else inherits them.
package modestest
