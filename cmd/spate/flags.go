package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/serve/stream"
)

// flagSet is a command's flags. Each of them is a setting: the environment may set it too, and where the command takes
// one, a file.
type flagSet struct {
	*flag.FlagSet
	usage string // the command line, for the help text
	set   map[string]origin
	wrong []string        // what is wrong with the settings, so far
	bad   map[string]bool // flags whose values are no values: nothing more can be said of them
}

// origin says what set a flag.
type origin struct {
	by    layer
	place string // the line of a file, the variable; "" for the others
}

// layer is where settings come from; the larger wins.
type layer int

const (
	byDefault layer = iota
	byFile
	byEnvironment
	byFlag
)

// String says it to who asks where a setting comes from.
func (o origin) String() string {
	switch o.by {
	case byDefault:
		return "default"
	case byFlag:
		return "flag"
	}
	return o.place
}

// StringVar is flag.FlagSet's, but that the text must not be empty: a variable that is not set where it is meant to be
// would turn off what asks for credentials, or have an event go to everyone.
func (fs *flagSet) StringVar(p *string, name, value, usage string) {
	*p = value
	fs.Var((*textValue)(p), name, usage)
}

// String is StringVar with a text of its own.
func (fs *flagSet) String(name, value, usage string) *string {
	p := new(string)
	fs.StringVar(p, name, value, usage)
	return p
}

// contradicts reports whether a flag was set, not by less than the other one.
func (fs *flagSet) contradicts(name, other string) bool {
	return fs.set[name].by != byDefault && fs.set[name].by >= fs.set[other].by
}

// given reports whether anything set the flag.
func (fs *flagSet) given(name string) bool { return fs.set[name].by != byDefault }

func newFlagSet(usage string) *flagSet {
	fs := &flagSet{flag.NewFlagSet(usage, flag.ContinueOnError), usage, map[string]origin{}, nil, map[string]bool{}}
	fs.SetOutput(io.Discard) // errors are reported once, by report
	return fs
}

// configFlag is the flag that names the file with settings, of the commands that take one.
const configFlag = "config"

// parse takes the file first, then the environment, then args, so that a flag wins. What is wrong is a *usageError that
// tells all of it; flag.ErrHelp means that the help text has been written.
func (fs *flagSet) parse(s streams, args []string) error {
	if err := fs.read(s, args); err != nil {
		return err
	}
	return fs.faults()
}

// read is parse, but for the faults, which are kept. Its error is flag.ErrHelp alone.
func (fs *flagSet) read(s streams, args []string) error {
	if s.flags != nil {
		s.flags(fs)
		return flag.ErrHelp
	}
	line, err := fs.commandLine(args)
	if err != nil {
		fs.help(s.out)
		return err
	}
	if path := fs.configPath(s, line); path != "" {
		fs.takeFile(path)
	}
	fs.VisitAll(func(f *flag.Flag) {
		name := envName(f.Name)
		text, ok := s.env(name)
		if !ok {
			return
		}
		texts := []string{text}
		if list, isList := f.Value.(listed); isList {
			texts = list.split(text)
		}
		if cause := fs.take(f, origin{byEnvironment, name}, texts); cause != nil {
			fs.faultf("%s=%s in the environment: %s", name, shownText(f, text), reason(cause, f.Value))
		}
	})
	fs.VisitAll(func(f *flag.Flag) {
		if texts := line[f.Name]; len(texts) > 0 {
			if _, secret := f.Value.(*secretValue); secret {
				fs.faultf("--%s is a secret, and everybody who lists processes reads a command line: give it by %s, or by a file", f.Name, envName(f.Name))
				return
			}
			if cause := fs.take(f, origin{by: byFlag}, texts); cause != nil {
				what := "value"
				if isSwitch(f.Value) {
					what = "boolean value"
				}
				fs.faultf("invalid %s %q for flag --%s: %s", what, texts[len(texts)-1], f.Name, reason(cause, f.Value))
			}
		}
	})
	return nil
}

// take sets a flag to what one layer says, in the place of what others have said.
func (fs *flagSet) take(f *flag.Flag, from origin, texts []string) error {
	if list, isList := f.Value.(listed); isList {
		list.reset()
	}
	fs.set[f.Name] = from
	for _, text := range texts {
		if err := f.Value.Set(text); err != nil {
			fs.bad[f.Name] = true
			return err
		}
	}
	return nil
}

// commandLine returns what args say, unparsed, by flag. Its error is flag.ErrHelp alone.
func (fs *flagSet) commandLine(args []string) (map[string][]string, error) {
	given := map[string][]string{}
	fs.VisitAll(func(f *flag.Flag) { f.Value = &recorder{f.Value, f.Name, given} })
	defer fs.VisitAll(func(f *flag.Flag) { f.Value = f.Value.(*recorder).Value })
	for {
		err := fs.Parse(args)
		if err == nil {
			return given, nil
		}
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		text := strings.Replace(err.Error(), " for flag -", " for flag --", 1)
		text = strings.Replace(text, " needs an argument: -", " needs an argument: --", 1)
		fs.faultf("%s", strings.Replace(text, "not defined: -", "not defined: --", 1))
		args = fs.Args()
		if strings.Contains(text, "not defined") && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			args = args[1:] // its value, most likely
		}
	}
}

// configPath is the file with settings, "" for none.
func (fs *flagSet) configPath(s streams, line map[string][]string) string {
	if fs.Lookup(configFlag) == nil {
		return ""
	}
	if texts := line[configFlag]; len(texts) > 0 {
		return texts[0]
	}
	path, _ := s.env(envName(configFlag))
	return path
}

// faultf notes something that is wrong.
func (fs *flagSet) faultf(format string, args ...any) {
	fs.wrong = append(fs.wrong, fmt.Sprintf(format, args...))
}

// must notes what is wrong with a flag's value, and where that comes from, unless ok.
func (fs *flagSet) must(ok bool, name, format string, args ...any) {
	if ok || fs.bad[name] {
		return
	}
	text := fmt.Sprintf(format, args...)
	switch at := fs.set[name]; at.by {
	case byFile:
		text = at.place + ": " + text
	case byEnvironment:
		text = at.place + " in the environment: " + text
	}
	fs.wrong = append(fs.wrong, text)
}

// check notes an error that is about a flag's value.
func (fs *flagSet) check(name string, err error) {
	if err != nil {
		fs.must(false, name, "%s", err.Error())
	}
}

// faults is all that is wrong, nil for nothing.
func (fs *flagSet) faults() error {
	switch len(fs.wrong) {
	case 0:
		return nil
	case 1:
		return usagef("%s", fs.wrong[0])
	}
	return usagef("there are %d mistakes:\n  %s", len(fs.wrong), strings.Join(fs.wrong, "\n  "))
}

// recorder notes what a command line says of a flag, and refuses to be given twice: which of the two counts would be
// anybody's guess. Lists take as many as they like.
type recorder struct {
	flag.Value
	name  string
	given map[string][]string
}

// Set notes text.
func (r *recorder) Set(text string) error {
	if _, list := r.Value.(listed); len(r.given[r.name]) > 0 && !list {
		return errors.New("is given twice")
	}
	r.given[r.name] = append(r.given[r.name], text)
	return nil
}

// IsBoolFlag says whether the flag can do without a value.
func (r *recorder) IsBoolFlag() bool { return isSwitch(r.Value) }

func isSwitch(v flag.Value) bool {
	b, ok := v.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// shownText is a value that is refused, as it may be shown.
func shownText(f *flag.Flag, text string) string {
	if _, secret := f.Value.(*secretValue); secret {
		return hidden
	}
	return strconv.Quote(text)
}

// help lists the flags with the names of their variables.
func (fs *flagSet) help(w io.Writer) {
	fmt.Fprintf(w, "Usage: spate %s\n\n", fs.usage)
	for _, f := range fs.describe() {
		fmt.Fprintf(w, "  --%s %s\n        %s", f.name, f.kind, f.text)
		if f.value != "" {
			fmt.Fprintf(w, " (default %s)", f.value)
		}
		fmt.Fprintf(w, " [%s]\n", f.env)
	}
}

// envName is the environment variable of a flag.
func envName(name string) string {
	return "SPATE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// What is taken where package flag says no more than "parse error".
const (
	wholeNumber = "give a whole number, such as 1000000"
	trueOrFalse = "give true or false"
)

// reason is an error's text; package flag has a bare word for numbers and switches that are none.
func reason(err error, v flag.Value) string {
	if text := err.Error(); text != "parse error" {
		return text
	}
	if isSwitch(v) {
		return trueOrFalse
	}
	return wholeNumber
}

// listed is a flag that may be given several times. A layer of settings replaces all that those below it have said.
type listed interface {
	flag.Value
	reset()
	split(text string) []string // how the environment has it in one text
	items() []string            // what Set was called with
}

// listValue is a list of texts, in the environment with commas.
type listValue struct{ values []string }

func (v *listValue) String() string { return strings.Join(v.values, ",") }

// Set adds text.
func (v *listValue) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	v.values = append(v.values, text)
	return nil
}

func (v *listValue) reset()                     { v.values = nil }
func (v *listValue) split(text string) []string { return strings.Split(text, ",") }
func (v *listValue) items() []string            { return v.values }

// textValue is a text.
type textValue string

func (v *textValue) String() string { return string(*v) }

// Set takes text.
func (v *textValue) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	*v = textValue(text)
	return nil
}

// errEmpty is about a value without which a flag has to be left out.
var errEmpty = errors.New("must not be empty: leave it out, or unset the variable")

// secretValue is a text that is not shown.
type secretValue string

// hidden is shown in the place of a secret.
const hidden = "(hidden)"

func (v *secretValue) String() string {
	if *v == "" {
		return ""
	}
	return hidden
}

// Set takes text.
func (v *secretValue) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	*v = secretValue(text)
	return nil
}

// levelValue is a level of the program's log.
type levelValue slog.Level

func (v *levelValue) String() string { return strings.ToLower(slog.Level(*v).String()) }

// Set parses text.
func (v *levelValue) Set(text string) error {
	if err := (*slog.Level)(v).UnmarshalText([]byte(text)); err != nil {
		return errors.New("give debug, info, warn or error")
	}
	return nil
}

// countValue is a number of events.
type countValue int64

func (v *countValue) String() string { return strconv.FormatInt(int64(*v), 10) }

// Set parses text. A form with an exponent is taken where it is a whole number.
func (v *countValue) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if f, ferr := strconv.ParseFloat(text, 64); err != nil && ferr == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 && strings.ContainsAny(text, "eE") {
		n, err = int64(f), nil
	}
	if err != nil || n < 0 {
		return errors.New(wholeNumber)
	}
	*v = countValue(n)
	return nil
}

// sizeValue is a number of bytes, such as 4096, 64KiB, 10MB or 1GiB. Units are taken in any case, and G is GiB as it
// is for most tools.
type sizeValue int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1}, {"", 1}}

func (v *sizeValue) String() string {
	n := int64(*v)
	for i := 3; i >= 0; i-- { // the binary units
		if u := sizeUnits[i]; n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// Set parses text.
func (v *sizeValue) Set(text string) error {
	for _, u := range sizeUnits {
		if len(text) < len(u.suffix) || !strings.EqualFold(text[len(text)-len(u.suffix):], u.suffix) {
			continue
		}
		digits := text[:len(text)-len(u.suffix)]
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		*v = sizeValue(n * u.bytes)
		return nil
	}
	return errors.New("give a size such as 4096, 64KiB, 10MB or 1GiB, in whole units")
}

// ageValue is a duration that may also be given in days, such as 7d or 1d12h.
type ageValue time.Duration

func (v *ageValue) String() string {
	d := time.Duration(*v)
	if d > 0 && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

// Set parses text.
func (v *ageValue) Set(text string) error {
	age, ok := stream.ParseAge(text)
	if !ok {
		return errors.New("give a duration such as 90s, 12h, 7d or 1d12h")
	}
	*v = ageValue(age)
	return nil
}
