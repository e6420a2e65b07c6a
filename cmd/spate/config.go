package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/cors"
	"github.com/spatehub/spate/serve/tlsfile"
)

// runConfig is `spate config`.
func runConfig(_ context.Context, s streams, args []string) error {
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		fmt.Fprint(s.out, "Usage: spate config check FILE\n\nReads a file with settings for `spate serve --config FILE`, and the keys and certificates that it names, and says all that\nis wrong with it.\n")
		return flag.ErrHelp
	}
	if len(args) == 0 || args[0] != "check" {
		return usagef("give check, and a file")
	}
	files, err := folders(newFlagSet("config check FILE"), s, args[1:], "FILE")
	if err != nil {
		return err
	}
	return checkConfig(s, files[0])
}

// checkConfig says what is wrong with a file, by itself: neither flags nor the environment have a say.
func checkConfig(s streams, path string) error {
	s.env = func(string) (string, bool) { return "", false }
	c, err := readServe(s, []string{"--" + configFlag, path})
	if err != nil {
		return err
	}
	fs := c.settings
	if len(fs.wrong) == 0 {
		c.checkFiles()
	}
	if err := fs.faults(); err != nil {
		return errors.New(err.Error()) // not a wrong command line
	}
	fmt.Fprintf(s.out, "%s: all is well\n", path)
	return nil
}

// checkFiles notes what is wrong with the files that settings name.
func (c *serveConfig) checkFiles() {
	nobody := func(error) {}
	if c.tls.on() {
		_, err := tlsfile.Load(c.tls.files(nobody))
		c.settings.check("tls-cert", err)
	}
	for _, fault := range c.cluster.fileFaults() {
		c.settings.check(fault.name, fault.err)
	}
	if !c.access.on() {
		return
	}
	_, remote, err := newAccess(c, slog.New(slog.DiscardHandler)).authorizer(c, cors.Origins{}, nobody)
	if remote != nil {
		remote.Close()
	}
	if err != nil {
		c.settings.wrong = append(c.settings.wrong, strings.Split(err.Error(), "\n")...)
	}
}

// print shows all settings with their origins, in the form of a file with settings. Secrets, and what is not set, are
// comments in it.
func (fs *flagSet) print(w io.Writer) error {
	var failed error
	fs.VisitAll(func(f *flag.Flag) {
		if slices.Contains(notInFile, f.Name) || failed != nil {
			return
		}
		value, err := shownValue(f)
		if !fs.given(f.Name) && err == nil && value[0] != '#' {
			value = "# " + value
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "%s # %s\n", value, fs.set[f.Name])
		}
		failed = err
	})
	return failed
}

// shownValue is a line of a file with settings. One that says nothing is a comment.
func shownValue(f *flag.Flag) (string, error) {
	value, isSecret := settingValue(f)
	switch {
	case value == nil:
		return "# " + f.Name + ":", nil
	case isSecret:
		return "# " + f.Name + ": " + hidden, nil
	}
	node := yaml.Node{}
	if err := node.Encode(value); err != nil {
		return "", err
	}
	node.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(map[string]*yaml.Node{f.Name: &node})
	if err != nil {
		return "", err
	}
	return string(text[:len(text)-1]), nil
}

var passwordInURL = regexp.MustCompile(`://[^/@\s]*@`)

// withoutPasswords leaves out what URLs have of users and passwords.
func withoutPasswords(value any) any {
	switch v := value.(type) {
	case string:
		return passwordInURL.ReplaceAllString(v, "://"+hidden+"@")
	case []string:
		shown := make([]string, len(v))
		for i, text := range v {
			shown[i] = passwordInURL.ReplaceAllString(text, "://"+hidden+"@")
		}
		return shown
	}
	return value
}

// runToken is `spate token`.
func runToken(_ context.Context, s streams, args []string) error {
	fs := newFlagSet("token")
	if err := fs.parse(s, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef("unexpected argument %q", fs.Arg(0))
	}
	token, hash := auth.NewToken()
	now := time.Now().UTC().Format(time.RFC3339)
	fmt.Fprintf(s.out, "%s\n", token)
	fmt.Fprintf(s.err, "This is the only time that the token is shown. The file of --token-file keeps its hash:\n"+
		`{"tokens": [{"hash": %q, "id": "NAME", "issued": %q, "read": [">"], "push": {"topics": [">"], "any_user": true, "everyone": true}, "admin": false}]}`+"\n", hash, now)
	return nil
}

// levelLogger is the hub's own log, whose level may change.
func (c *serveConfig) levelLogger(s streams) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(c.logLevel)
	opts := &slog.HandlerOptions{Level: level}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(s.err, opts)), level
	}
	return slog.New(slog.NewTextHandler(s.err, opts)), level
}
