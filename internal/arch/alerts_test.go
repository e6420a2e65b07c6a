package arch_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestAlertsHaveARunbookAndATest: each alert links to an entry of docs/operations.md that is there, is made to fire and
// to be quiet by a unit test, and each metric that an alert asks for is in the table of metrics.
func TestAlertsHaveARunbookAndATest(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	load(t, "../../docs/alerts.yml", &rules)
	var tests struct {
		Tests []struct {
			Rule []struct {
				Alertname string
				Alerts    []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	load(t, "../../docs/alerts_test.yml", &tests)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, unit := range tests.Tests {
		for _, r := range unit.Rule {
			if len(r.Alerts) > 0 {
				fires[r.Alertname] = true
			} else {
				quiet[r.Alertname] = true
			}
		}
	}
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	metric := regexp.MustCompile(`spate_[a-z_]+`)
	known := map[string]bool{}
	for _, name := range metric.FindAllString(string(text), -1) {
		known[name] = true
	}

	names := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			names[r.Alert] = true
			require.Contains(t, string(text), "\n### "+r.Alert+"\n", "no runbook entry")
			require.Truef(t, strings.HasSuffix(r.Annotations["runbook_url"], "/docs/operations.md#"+strings.ToLower(r.Alert)), "%s: runbook_url", r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.True(t, fires[r.Alert], "no test makes %s fire", r.Alert)
			require.True(t, quiet[r.Alert], "no test keeps %s quiet", r.Alert)
			for _, name := range metric.FindAllString(r.Expr, -1) {
				name = strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
				require.True(t, known[name], "%s: %s is not in the document", r.Alert, name)
			}
		}
	}
	require.NotEmpty(t, names)
	for _, m := range regexp.MustCompile(`(?m)^### (Spate\w+)$`).FindAllStringSubmatch(string(text), -1) {
		require.True(t, names[m[1]], "the runbook's %s is no alert", m[1])
	}
}

func load(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), path)
}
