package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// flagSet is a command's flags, whose defaults the environment may change.
type flagSet struct {
	*flag.FlagSet
	usage string // the command line, for the help text
}

func newFlagSet(usage string) *flagSet {
	fs := &flagSet{flag.NewFlagSet(usage, flag.ContinueOnError), usage}
	fs.SetOutput(io.Discard) // errors are reported once, by report
	return fs
}

// parse takes the environment first, then args, so that a flag wins. Every fault is a *usageError, but flag.ErrHelp,
// for which the help text has been written.
func (fs *flagSet) parse(s streams, args []string) error {
	var err error
	fs.VisitAll(func(f *flag.Flag) {
		name := envName(f.Name)
		text, ok := s.env(name)
		if !ok || err != nil {
			return
		}
		set := f.Value.Set
		if list, isList := f.Value.(envSetter); isList {
			set = list.setEnv
		}
		if cause := set(text); cause != nil {
			err = usagef("%s=%q in the environment: %s", name, text, reason(cause))
		}
	})
	if err != nil {
		return err
	}
	err = fs.FlagSet.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fs.help(s.out)
		return err
	}
	if err != nil {
		return usagef("%v", err)
	}
	return nil
}

// help lists the flags with the names of their variables.
func (fs *flagSet) help(w io.Writer) {
	fmt.Fprintf(w, "Usage: spate %s\n\n", fs.usage)
	fs.VisitAll(func(f *flag.Flag) {
		kind, text := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  --%s %s\n        %s", f.Name, kind, text)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, " [%s]\n", envName(f.Name))
	})
}

// envName is the environment variable of a flag.
func envName(name string) string {
	return "SPATE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// reason is an error's text; package flag has a bare word for numbers that are none.
func reason(err error) string {
	if text := err.Error(); text != "parse error" {
		return text
	}
	return "no valid value"
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

// sizeValue is a number of bytes, such as 4096, 64KiB, 10MB or 1GiB.
type sizeValue int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1}}

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
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		*v = sizeValue(n * u.bytes)
		return nil
	}
	return errors.New("give a size such as 4096, 64KiB, 10MB or 1GiB")
}

// ageValue is a duration that may also be given in days, such as 7d.
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
	if digits, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n >= 0 && n <= days {
			*v = ageValue(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("give a duration such as 90s, 12h or 7d")
	}
	*v = ageValue(d)
	return nil
}
