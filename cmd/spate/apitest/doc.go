// Package apitest holds the standalone hub, as a process, to what it promises from
// outside: the document that it serves at /openapi.json, the protocol's table of all
// that it sends, and its drain. It is a module of its own, so that programs which embed
// spate do not inherit the validator.
package apitest
