package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/pacer"
)

// A scenario is a YAML file. Each flag of run is a key, with the same values; a flag
// that may be given several times takes a list. Beside them there are stages and
// groups. What is given on the command line as well counts instead, or is added
// where a flag may be given several times.

// aliases are keys that read better than the flag.
var aliases = map[string]string{"thresholds": "expect", "storms": "storm", "headers": "header"}

// loadScenario sets the flags that a file gives.
func loadScenario(name string, fs *flag.FlagSet, c *config.Config) error {
	b, err := readBounded(name)
	if err != nil {
		return err
	}
	var doc, second yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(b))
	if err := documents.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s is empty", name)
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := documents.Decode(&second); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:%d: a second document begins here; a scenario is one", name, second.Line)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: write keys and values, for example streams: 1000", name, root.Line)
	}
	var faults []error
	seen := map[string]bool{}
	var stages *yaml.Node
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		var err error
		switch k := key.Value; {
		case seen[k]:
			err = errors.New("it is given twice")
		case k == "stages":
			stages = value
		case k == "groups":
			c.Groups, err = readGroups(value)
		default:
			err = setFlag(fs, k, value)
		}
		seen[key.Value] = true
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %s: %w", name, key.Line, key.Value, err))
		}
	}
	if stages != nil { // after -streams and -rate, which they replace
		if err := readStages(stages, c, seen); err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: stages: %w", name, stages.Line, err))
		}
	}
	return errors.Join(faults...)
}

// setFlag gives a flag the value, or values, of a node.
func setFlag(fs *flag.FlagSet, key string, value *yaml.Node) error {
	name := strings.ReplaceAll(key, "_", "-")
	if a := aliases[name]; a != "" {
		name = a
	}
	if fs.Lookup(name) == nil || name == "scenario" {
		return fmt.Errorf("there is no such key%s", nearest(fs, name))
	}
	switch value.Kind {
	case yaml.ScalarNode:
		return fs.Set(name, value.Value)
	case yaml.SequenceNode:
		for _, v := range value.Content {
			if v.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d is not a value", v.Line)
			}
			if err := fs.Set(name, v.Value); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("give a value, or a list of values")
}

// nearest names the key that was probably meant.
func nearest(fs *flag.FlagSet, name string) string {
	best, least := "", 3
	fs.VisitAll(func(f *flag.Flag) {
		if d := distance(name, f.Name); d < least {
			best, least = f.Name, d
		}
	})
	if best == "" {
		return "; loadtest run -h lists them, and there are stages and groups"
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is how many letters have to be changed, added or removed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, last+cost)
		}
	}
	return row[len(b)]
}

// fields calls the function of each key of a mapping; all keys are checked.
func fields(n *yaml.Node, known map[string]func(v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: write keys and values", n.Line)
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, v := n.Content[i].Value, n.Content[i+1]
		for v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		fn := known[key]
		if fn == nil {
			return fmt.Errorf("line %d: there is no key %q; there are %s", n.Content[i].Line, key, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		switch {
		case seen[key]:
			return fmt.Errorf("line %d: %s is given twice", n.Content[i].Line, key)
		case v.Kind != yaml.ScalarNode && (key != "header" || v.Kind != yaml.SequenceNode):
			return fmt.Errorf("line %d: %s: give a value", v.Line, key)
		}
		seen[key] = true
		if err := fn(v); err != nil {
			return fmt.Errorf("line %d: %s: %w", n.Content[i].Line, key, err)
		}
	}
	return nil
}

func durationInto(d *time.Duration) func(*yaml.Node) error {
	return func(v *yaml.Node) (err error) {
		*d, err = time.ParseDuration(v.Value)
		return err
	}
}

func pointer[T any](to **T, parse func(string) (T, error)) func(*yaml.Node) error {
	return func(v *yaml.Node) error {
		x, err := parse(v.Value)
		*to = &x
		return err
	}
}

// readGroups reads the groups of streams.
func readGroups(n *yaml.Node) ([]config.Group, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, errors.New("give a list")
	}
	var list []config.Group
	for _, item := range n.Content {
		var g config.Group
		text := func(to *string) func(*yaml.Node) error {
			return func(v *yaml.Node) error { *to = v.Value; return nil }
		}
		err := fields(item, map[string]func(*yaml.Node) error{
			"name":  text(&g.Name),
			"url":   text(&g.URL),
			"share": func(v *yaml.Node) (err error) { g.Share, err = config.ParseShare(v.Value); return err },
			"header": func(v *yaml.Node) error {
				list := v.Content
				if v.Kind == yaml.ScalarNode {
					list = []*yaml.Node{v}
				}
				for _, x := range list {
					line := x.Line
					if x.Kind == yaml.AliasNode {
						x = x.Alias
					}
					if x.Kind != yaml.ScalarNode {
						return fmt.Errorf("line %d is not a value; write it in quotes, as 'Name: value'", line)
					}
					g.Header = append(g.Header, x.Value)
				}
				return nil
			},
			"topic":     pointer(&g.Topic, strconv.Atoi),
			"churn":     pointer(&g.Churn, config.ParseShare),
			"slow":      pointer(&g.Slow, config.ParseShare),
			"stall":     pointer(&g.Stall, config.ParseShare),
			"slow-rate": pointer(&g.SlowRate, strconv.Atoi),
			"away":      pointer(&g.Away, time.ParseDuration),
		})
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
}

// readStages reads the stages of a load. Within each, the numbers of streams and the
// rate go evenly from those of the stage before, or jump where the stage is for 0s.
func readStages(n *yaml.Node, c *config.Config, seen map[string]bool) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return errors.New("give a list")
	}
	for _, k := range []string{"rate", "duration"} {
		if seen[k] {
			return fmt.Errorf("stages say %s themselves", k)
		}
	}
	var at time.Duration
	var rates pacer.Points
	most := 0
	for i, item := range n.Content {
		var span time.Duration
		var streams *int
		var rate *float64
		var name string
		err := fields(item, map[string]func(*yaml.Node) error{
			"for":     durationInto(&span),
			"streams": pointer(&streams, strconv.Atoi),
			"rate":    pointer(&rate, pacer.ParseRate),
			"name":    func(v *yaml.Node) error { name = v.Value; return nil },
		})
		if err != nil {
			return err
		}
		if span < 0 {
			return fmt.Errorf("line %d: for %s is negative", item.Line, span)
		}
		if name != "" {
			c.Marks = append(c.Marks, config.Label{At: at, Text: name})
		}
		if i == 0 { // begins where it is to be
			if rate != nil {
				rates = append(rates, pacer.Point{PerSecond: *rate})
			}
			if streams != nil {
				c.Line = append(c.Line, config.Target{Streams: *streams})
			}
		}
		at += span
		if len(rates) > 0 || rate != nil {
			if len(rates) == 0 {
				return fmt.Errorf("line %d: the first stage has no rate", item.Line)
			}
			x := rates[len(rates)-1].PerSecond
			if rate != nil {
				x = *rate
			}
			rates = append(rates, pacer.Point{At: at, PerSecond: x})
		}
		if len(c.Line) > 0 || streams != nil {
			if len(c.Line) == 0 {
				return fmt.Errorf("line %d: the first stage has no streams", item.Line)
			}
			x := c.Line[len(c.Line)-1].Streams
			if streams != nil {
				x = *streams
			}
			c.Line = append(c.Line, config.Target{At: at, Streams: x})
			most = max(most, x)
		}
	}
	c.Duration = at
	if len(rates) > 0 {
		c.Rate = rates.String()
	}
	if len(c.Line) > 0 && !seen["streams"] {
		c.Streams = most
	}
	return nil
}
