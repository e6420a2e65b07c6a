// Package apitest holds the standalone hub to the document that it serves at
// /openapi.json, from outside. It is a module of its own, so that programs which embed
// spate do not inherit the validator.
package apitest
