// Package limit bounds what callers may use: rates by token buckets ([Buckets]),
// things held at a time ([Counts]), and whom to count them for, the address of
// the client behind trusted proxies ([Proxies]).
//
// Its tables are bounded, whoever calls, and safe for use by many goroutines.
package limit
