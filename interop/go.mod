module github.com/spatehub/spate/interop

go 1.26.0

require (
	github.com/launchdarkly/eventsource v1.11.0
	github.com/r3labs/sse/v2 v2.10.0
	github.com/stretchr/testify v1.12.1
	github.com/tmaxmax/go-sse v0.12.0
	go.yaml.in/yaml/v3 v3.0.5
	gopkg.in/cenkalti/backoff.v1 v1.1.0
)

require (
	golang.org/x/net v0.0.0-20191116160921-f9c825593386 // indirect
)
