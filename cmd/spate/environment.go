package main

import (
	"slices"
	"strings"
)

// flagVariables are the environment variables of all commands' flags; a test holds them together.
var flagVariables = []string{
	"SPATE_AFTER", "SPATE_ANONYMOUS", "SPATE_BACKUP_DIR", "SPATE_BUFFER", "SPATE_CA", "SPATE_CLUSTER",
	"SPATE_CLUSTER_CREDS", "SPATE_CLUSTER_MAX_AGE", "SPATE_CLUSTER_NAME", "SPATE_CLUSTER_REPLICAS",
	"SPATE_CLUSTER_SILENCE", "SPATE_CLUSTER_SILENT", "SPATE_CLUSTER_STREAM", "SPATE_CLUSTER_TLS_CA",
	"SPATE_CLUSTER_TLS_CERT", "SPATE_CLUSTER_TLS_KEY", "SPATE_COMPRESS", "SPATE_CONFIG", "SPATE_CONNECTION_AGE_JITTER",
	"SPATE_CORS_CREDENTIALS", "SPATE_CORS_ORIGIN", "SPATE_COUNT", "SPATE_DATA", "SPATE_DEMO",
	"SPATE_DESCRIPTOR_RESERVE", "SPATE_DRAIN", "SPATE_DRAIN_DELAY", "SPATE_DRAIN_SPREAD", "SPATE_EVENT",
	"SPATE_FROM_BEGINNING", "SPATE_H2C", "SPATE_HEARTBEAT", "SPATE_IDEMPOTENCY_KEYS", "SPATE_IDEMPOTENCY_WINDOW",
	"SPATE_IDLE_TIMEOUT", "SPATE_IMMEDIATE", "SPATE_INSECURE", "SPATE_IO_URING", "SPATE_JSON", "SPATE_JWT_ANY_AUDIENCE",
	"SPATE_JWT_AUDIENCE", "SPATE_JWT_ISSUER", "SPATE_JWT_JWKS_URL", "SPATE_JWT_KEY_FILE", "SPATE_JWT_NO_EXPIRY",
	"SPATE_JWT_RIGHTS", "SPATE_JWT_RIGHTS_CLAIM", "SPATE_JWT_SECRET", "SPATE_JWT_SECRET_FILE", "SPATE_JWT_SKEW",
	"SPATE_JWT_USER_CLAIM", "SPATE_KEY", "SPATE_LAST_EVENT_ID", "SPATE_LATER", "SPATE_LINES", "SPATE_LINGER",
	"SPATE_LINGER_PRIVATE", "SPATE_LISTEN", "SPATE_LOG_FORMAT", "SPATE_LOG_LEVEL", "SPATE_MAX_CATCH_UP_BYTES",
	"SPATE_MAX_CONNECTIONS", "SPATE_MAX_CONNECTIONS_ADDRESS", "SPATE_MAX_CONNECTIONS_USER", "SPATE_MAX_CONNECTION_AGE",
	"SPATE_MAX_CONNECTS", "SPATE_MAX_CONNECTS_ADDRESS", "SPATE_MAX_CONNECTS_USER", "SPATE_MAX_EVENT_SIZE",
	"SPATE_MAX_PUSH_BYTES", "SPATE_MAX_PUSH_BYTES_ADDRESS", "SPATE_MAX_PUSH_BYTES_USER", "SPATE_MAX_PUSH_EVENTS",
	"SPATE_MAX_PUSH_EVENTS_ADDRESS", "SPATE_MAX_PUSH_EVENTS_USER", "SPATE_MAX_REQUESTS_ADDRESS", "SPATE_MAX_TOPICS",
	"SPATE_MEMORY", "SPATE_NO_SYNC", "SPATE_PATIENCE", "SPATE_POLICY", "SPATE_PRESENCE_TOPIC", "SPATE_PRINT_CONFIG",
	"SPATE_PROXY_HEADER", "SPATE_PROXY_PROTOCOL", "SPATE_PUSH_MEMORY", "SPATE_QUEUE_BYTES", "SPATE_READY",
	"SPATE_RETAIN_AGE", "SPATE_RETAIN_BYTES", "SPATE_RETAIN_COUNT", "SPATE_RETAIN_TOPIC", "SPATE_RETRY",
	"SPATE_RETRY_WINDOW", "SPATE_REVOCATION_TTL", "SPATE_SINCE", "SPATE_STALL_TIMEOUT", "SPATE_TICKET_TTL",
	"SPATE_TIMEOUT", "SPATE_TLS_CERT", "SPATE_TLS_CLIENT_CA", "SPATE_TLS_CLIENT_NAME", "SPATE_TLS_CLIENT_REQUIRED",
	"SPATE_TLS_CLIENT_RIGHTS", "SPATE_TLS_KEY", "SPATE_TLS_MIN", "SPATE_TOKEN", "SPATE_TOKEN_COOKIE",
	"SPATE_TOKEN_FILE", "SPATE_TOKEN_QUERY", "SPATE_TOPIC", "SPATE_TRUSTED_PROXY", "SPATE_UID", "SPATE_UNIX",
	"SPATE_URGENT_TOPIC", "SPATE_URL", "SPATE_USER_HEADER",
}

// checkEnvironment refuses variables of our namespace that no flag has: a misspelt one would change nothing, in silence.
// A container's orchestrator names variables after its services, and one may be called spate: those are not meant for us.
func checkEnvironment(s streams) error {
	if s.environ == nil {
		return nil
	}
	fs := newFlagSet("")
	for _, pair := range s.environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "SPATE_") || slices.Contains(flagVariables, name) || namesService(name) {
			continue
		}
		if meant := nearestVariable(name); meant != "" {
			fs.faultf("%s in the environment is the name of no flag: is %s meant?", name, meant)
			continue
		}
		fs.faultf("%s in the environment is the name of no flag; `spate <command> --help` lists them: remove it", name)
	}
	return fs.faults()
}

// namesService reports whether the variable is one of those that Docker and Kubernetes set for a service called spate.
func namesService(name string) bool {
	rest := strings.TrimPrefix(name, "SPATE_")
	return rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_") || rest == "NAME" || strings.HasPrefix(rest, "ENV_")
}

// nearestVariable returns the variable that is nearest to a misspelt one, "" if none is near.
func nearestVariable(name string) string {
	best, least := "", 4
	for _, v := range flagVariables {
		if d := distance(name, v); d < least {
			best, least = v, d
		}
	}
	return best
}

// distance is the number of letters to change, add or take between two short words.
func distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return maxWord
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(diagonal+cost, row[j]+1, row[j+1]+1)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

// maxWord bounds the names that are compared.
const maxWord = 64
