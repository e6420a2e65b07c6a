package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConfigFile bounds a file with settings.
const maxConfigFile = 1 << 20

// notInFile are flags that say something about one start alone.
var notInFile = []string{configFlag, "print-config"}

// takeFile sets flags to what a YAML file says: one mapping, whose keys are the names of flags without their dashes. A
// flag that may be given several times takes a list. Nothing is passed over: unknown and repeated keys are faults, and
// so is what YAML has besides plain values, such as aliases.
func (fs *flagSet) takeFile(path string) {
	text, err := readConfig(path)
	if err != nil {
		fs.faultf("%v", err)
		return
	}
	fs.takeYAML(path, text)
}

// readConfig reads the file. Its errors name it.
func readConfig(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the file with settings: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfigFile+1))
	if err != nil {
		return nil, fmt.Errorf("the file with settings: %w", err)
	}
	if len(text) > maxConfigFile {
		return nil, fmt.Errorf("%s has more than %d bytes, which is more than settings take", path, maxConfigFile)
	}
	return text, nil
}

func (fs *flagSet) takeYAML(path string, text []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return // nothing but comments
	case err != nil:
		fs.faultf("%s", yamlFault(path, err))
		return
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		fs.faultf("%s: has more than one document", path)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return
	}
	if root.Kind != yaml.MappingNode {
		fs.faultf("%s:%d: must be a mapping of settings, such as: listen: %s", path, root.Line, defaultListen)
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		at := fmt.Sprintf("%s:%d", path, key.Line)
		if before, twice := lines[key.Value]; twice {
			fs.faultf("%s: %s is given twice, at first in line %d", at, shownKey(key), before)
			continue
		}
		lines[key.Value] = key.Line
		fs.takeSetting(at, key, value)
	}
}

// takeSetting sets one flag.
func (fs *flagSet) takeSetting(at string, key, value *yaml.Node) {
	f := fs.Lookup(key.Value)
	if f == nil || key.Kind != yaml.ScalarNode || slices.Contains(notInFile, f.Name) {
		text := fmt.Sprintf("%s: %s is no setting", at, shownKey(key))
		if meant := fs.nearest(key.Value); f == nil && meant != "" {
			text += ": is " + meant + " meant?"
		}
		fs.faultf("%s", text)
		return
	}
	texts, err := settingTexts(f, value)
	if err == nil {
		err = fs.take(f, origin{byFile, at}, texts)
	}
	if err != nil {
		fs.bad[f.Name] = true
		fs.faultf("%s: %s: %s", at, f.Name, reason(err, f.Value))
	}
}

// settingTexts returns what a value says, as flags take it.
func settingTexts(f *flag.Flag, value *yaml.Node) ([]string, error) {
	_, list := f.Value.(listed)
	switch {
	case value.Kind == yaml.AliasNode || value.Anchor != "":
		return nil, errors.New("anchors and aliases are not taken")
	case value.Style&yaml.TaggedStyle != 0:
		return nil, fmt.Errorf("tags (%s) are not taken", value.Tag)
	case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
		return nil, errors.New("has no value: leave it out for the default")
	case value.Kind == yaml.ScalarNode:
		return []string{value.Value}, nil
	case value.Kind == yaml.SequenceNode && list:
		texts := make([]string, len(value.Content))
		for i, item := range value.Content {
			if item.Kind != yaml.ScalarNode || item.Anchor != "" || item.Style&yaml.TaggedStyle != 0 || item.ShortTag() == "!!null" {
				return nil, fmt.Errorf("line %d is no plain value", item.Line)
			}
			texts[i] = item.Value
		}
		return texts, nil
	case value.Kind == yaml.SequenceNode:
		return nil, errors.New("takes one value, not a list")
	}
	if _, takes := f.Value.(*rightsValue); takes {
		return rightsText(value)
	}
	return nil, errors.New("takes a value, not a mapping")
}

// rightsText is a mapping as JSON.
func rightsText(value *yaml.Node) ([]string, error) {
	if err := plainNodes(value, 0); err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := value.Decode(&tree); err != nil {
		return nil, errors.New("has a key twice, or one that is no text")
	}
	text, err := json.Marshal(tree)
	return []string{string(text)}, err
}

// plainNodes refuses what is more than mappings, lists and values.
func plainNodes(n *yaml.Node, depth int) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.ShortTag() == "!!merge" {
		return fmt.Errorf("line %d: anchors, aliases and tags are not taken", n.Line)
	}
	if depth > 10 {
		return fmt.Errorf("line %d is too deep in others", n.Line)
	}
	for _, inner := range n.Content {
		if err := plainNodes(inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// nearest is the setting that a name is meant for, "" for none.
func (fs *flagSet) nearest(name string) string {
	meant := nearestVariable(envName(name))
	found := ""
	fs.VisitAll(func(f *flag.Flag) {
		if envName(f.Name) == meant && !slices.Contains(notInFile, f.Name) {
			found = f.Name
		}
	})
	return found
}

// shownKey bounds what is shown of a key, which may be anything.
func shownKey(key *yaml.Node) string {
	if key.Kind != yaml.ScalarNode {
		return "a key that is no text"
	}
	return fmt.Sprintf("%.64q", key.Value)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s*)?line (\d+): `)

// yamlFault is an error of the parser with its place in the usual form.
func yamlFault(path string, err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s:%s: is no YAML: %s", path, m[1], text[len(m[0]):])
	}
	return fmt.Sprintf("%s: is no YAML: %s", path, strings.TrimPrefix(text, "yaml: "))
}
