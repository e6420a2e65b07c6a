// Package serve brings a hub to Gin ([Serve], [PushEventHandler]) and to
// Prometheus ([MetricsHandler], [Collector]), in one import with the streams and
// the push API for net/http ([Handler], [PushHandler]), which are those of
// package serve/stream. A program that uses net/http alone imports that one and
// links neither Gin nor Prometheus; with serve/metrics it links Prometheus alone.
package serve
