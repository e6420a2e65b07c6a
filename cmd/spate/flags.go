package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// flagSet is a command's flags, whose defaults the environment may change.
type flagSet struct {
	*flag.FlagSet
	usage string // the command line, for the help text
	set   map[string]origin
}

// origin says what set a flag; what wins is the larger.
type origin int

const (
	byDefault origin = iota
	byEnvironment
	byFlag
)

// contradicts reports whether a flag was set, not by less than the other one.
func (fs *flagSet) contradicts(name, other string) bool {
	return fs.set[name] != byDefault && fs.set[name] >= fs.set[other]
}

func newFlagSet(usage string) *flagSet {
	fs := &flagSet{flag.NewFlagSet(usage, flag.ContinueOnError), usage, map[string]origin{}}
	fs.SetOutput(io.Discard) // errors are reported once, by report
	return fs
}

// parse takes the environment first, then args, so that a flag wins. Every fault is a *usageError, but flag.ErrHelp,
// for which the help text has been written.
func (fs *flagSet) parse(s streams, args []string) error {
	if s.flags != nil {
		s.flags(fs)
		return flag.ErrHelp
	}
	var err error
	fs.VisitAll(func(f *flag.Flag) {
		name := envName(f.Name)
		text, ok := s.env(name)
		if !ok || err != nil {
			return
		}
		fs.set[f.Name] = byEnvironment
		set := f.Value.Set
		if list, isList := f.Value.(envSetter); isList {
			set = list.setEnv
		}
		if cause := set(text); cause != nil {
			err = usagef("%s=%q in the environment: %s", name, text, reason(cause, f.Value))
		}
	})
	if err != nil {
		return err
	}
	fs.VisitAll(func(f *flag.Flag) { f.Value = &once{Value: f.Value} })
	err = fs.FlagSet.Parse(args)
	fs.VisitAll(func(f *flag.Flag) { f.Value = f.Value.(*once).Value })
	if errors.Is(err, flag.ErrHelp) {
		fs.help(s.out)
		return err
	}
	if err != nil {
		taken := wholeNumber
		if strings.HasPrefix(err.Error(), "invalid boolean value") {
			taken = trueOrFalse
		}
		text := strings.Replace(err.Error(), ": parse error", ": "+taken, 1)
		text = strings.Replace(text, " for flag -", " for -", 1)
		text = strings.Replace(text, " for -", " for flag --", 1) // as the help text writes it
		return usagef("%s", strings.Replace(text, "not defined: -", "not defined: --", 1))
	}
	fs.Visit(func(f *flag.Flag) { fs.set[f.Name] = byFlag })
	return nil
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
	if b, ok := v.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		return trueOrFalse
	}
	return wholeNumber
}

// envSetter is a flag that the environment sets in another form than the command line.
type envSetter interface{ setEnv(text string) error }

// listValue is a flag that may be given several times. In the environment it is one list with commas, which the first
// flag on the command line replaces.
type listValue struct {
	values  []string
	fromEnv bool // values came from the environment
}

func (v *listValue) String() string { return strings.Join(v.values, ",") }

// Set adds text.
func (v *listValue) Set(text string) error {
	if text == "" {
		return errors.New("must not be empty")
	}
	if v.fromEnv {
		v.values, v.fromEnv = nil, false
	}
	v.values = append(v.values, text)
	return nil
}

func (v *listValue) setEnv(text string) error {
	v.values, v.fromEnv = strings.Split(text, ","), true
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
	const days = math.MaxInt64 / int64(24*time.Hour)
	wrong := errors.New("give a duration such as 90s, 12h, 7d or 1d12h")
	if text == "" {
		return wrong
	}
	var whole, rest time.Duration
	if digits, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > days || strings.HasPrefix(digits, "+") {
			return wrong
		}
		whole, text = time.Duration(n)*24*time.Hour, after
	}
	if text != "" || whole == 0 {
		var err error
		if rest, err = time.ParseDuration(cmp.Or(text, "0")); err != nil || rest < 0 || whole > math.MaxInt64-rest {
			return wrong
		}
	}
	*v = ageValue(whole + rest)
	return nil
}

// once is a flag's value that refuses to be given twice on one command line: which of the two counts would be anybody's
// guess. Lists take as many as they like.
type once struct {
	flag.Value
	given bool
}

// Set parses text, the first time.
func (o *once) Set(text string) error {
	if _, list := o.Value.(envSetter); o.given && !list {
		return errors.New("is given twice")
	}
	o.given = true
	return o.Value.Set(text)
}

// IsBoolFlag says whether the flag can do without a value.
func (o *once) IsBoolFlag() bool {
	b, ok := o.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}
