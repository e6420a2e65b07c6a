package main

import (
	"context"
	"flag"
)

// commandDoc describes one command: what completions and the man page are made of.
type commandDoc struct {
	name, args, summary string
	flags               []flagDoc
}

// flagDoc describes one flag.
type flagDoc struct {
	name  string // without the dashes
	kind  string // of its value, such as "time"; empty for a switch
	text  string
	value string // the default; empty where it says nothing
	env   string
}

// describe returns all commands with the flags that they take, those under `spate log` too. It asks the commands
// themselves, so that none can be forgotten: each is run until it would read its flags.
func describe() []commandDoc {
	var docs []commandDoc
	for _, c := range append(commands(), logCommands()...) {
		doc := commandDoc{name: c.name, args: c.args, summary: c.summary}
		s := streams{flags: func(fs *flagSet) { doc.flags = fs.describe() }}
		if c.name != "log" { // it reads no flags, but the name of a command
			_ = c.run(context.Background(), s, nil)
		}
		docs = append(docs, doc)
	}
	return docs
}

// describe returns the flags, sorted by name.
func (fs *flagSet) describe() (docs []flagDoc) {
	fs.VisitAll(func(f *flag.Flag) {
		kind, text := flag.UnquoteUsage(f)
		docs = append(docs, flagDoc{name: f.Name, kind: kind, text: text, value: shownDefault(f), env: envName(f.Name)})
	})
	return docs
}

// shownDefault is a flag's default where it says anything.
func shownDefault(f *flag.Flag) string {
	switch f.DefValue {
	case "false", "0", "0s":
		return ""
	}
	return f.DefValue
}
