package main

import (
	"slices"
	"strings"
)

// flagVariables are the environment variables of all commands' flags; a test holds them together.
var flagVariables = []string{
	"SPATE_AFTER", "SPATE_BACKUP_DIR", "SPATE_BUFFER", "SPATE_COUNT", "SPATE_DATA", "SPATE_DEMO",
	"SPATE_DESCRIPTOR_RESERVE", "SPATE_DRAIN", "SPATE_EVENT", "SPATE_FROM_BEGINNING", "SPATE_HEARTBEAT", "SPATE_IDLE_TIMEOUT",
	"SPATE_IMMEDIATE", "SPATE_JSON", "SPATE_KEY", "SPATE_LAST_EVENT_ID", "SPATE_LATER", "SPATE_LINES", "SPATE_LISTEN",
	"SPATE_LOG_FORMAT", "SPATE_LOG_LEVEL", "SPATE_MAX_CONNECTIONS", "SPATE_MAX_EVENT_SIZE", "SPATE_MEMORY",
	"SPATE_NO_SYNC", "SPATE_POLICY", "SPATE_QUEUE_BYTES", "SPATE_READY", "SPATE_RETAIN_AGE", "SPATE_RETAIN_BYTES",
	"SPATE_RETAIN_COUNT", "SPATE_RETAIN_TOPIC", "SPATE_RETRY", "SPATE_SINCE", "SPATE_STALL_TIMEOUT", "SPATE_TIMEOUT", "SPATE_TOPIC", "SPATE_UID",
	"SPATE_UNIX", "SPATE_URL", "SPATE_USER_HEADER",
}

// checkEnvironment refuses variables of our namespace that no flag has: a misspelt one would change nothing, in silence.
// A container's orchestrator names variables after its services, and one may be called spate: those are not meant for us.
func checkEnvironment(s streams) error {
	if s.environ == nil {
		return nil
	}
	for _, pair := range s.environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "SPATE_") || slices.Contains(flagVariables, name) || namesService(name) {
			continue
		}
		if meant := nearestVariable(name); meant != "" {
			return usagef("%s in the environment is the name of no flag: is %s meant?", name, meant)
		}
		return usagef("%s in the environment is the name of no flag; `spate <command> --help` lists them: remove it", name)
	}
	return nil
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
