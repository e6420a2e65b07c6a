// Package seedtest runs the tests of the library whose names package sse has,
// as they come, against package sse. It is a module of its own, so that nobody
// who uses spate has to fetch that library.
package seedtest
