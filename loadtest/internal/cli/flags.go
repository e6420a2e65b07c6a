package cli

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/pacer"
	"github.com/spatehub/spate/loadtest/internal/procs"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// output is what run does besides testing.
type output struct {
	pages
	security procs.Security
	json     string
	csv      string
	jsonl    string
	om       string
	listen   string
	quiet    bool
	repeat   int

	command string // by which the run can be repeated, without secrets
}

// runFlags binds the flags of run to a configuration.
func runFlags(fs *flag.FlagSet, c *config.Config, o *output) {
	subscriberFlags(fs, c)
	behaviourFlags(fs, c)
	observeFlags(fs, c)
	publisherFlags(fs, c)
	fs.String("scenario", "", "`FILE` in YAML with these flags as keys, stages and groups; loadtest check FILE")
	fs.StringVar(&c.Name, "name", "", "`label` of the run in reports")
	fs.DurationVar(&c.RampTimeout, "ramp-timeout", c.RampTimeout, "longest wait for all streams to be open")
	fs.DurationVar(&c.Settle, "settle", c.Settle, "pause between the last stream open and the first event")
	fs.DurationVar(&c.WarmUp, "warmup", c.WarmUp, "beginning of -duration whose delays are not recorded")
	fs.DurationVar(&c.Drain, "drain", c.Drain, "longest wait at the end for what is missing")
	fs.DurationVar(&c.Interval, "interval", c.Interval, "length of an interval of the live view and the plots")
	fs.IntVar(&c.ServerPID, "server-pid", 0, "watch processor time and memory of the server with this process `ID`")
	fs.StringVar(&c.ServerMetrics, "server-metrics", "", "watch them by the server's Prometheus metrics at `URL`")
	fs.Func("expect", "fail unless a figure is as wanted, e.g. 'p99<50ms', 'lost==0' or 'lost<=0.1%'; may be given several times", func(s string) error {
		c.Expect = append(c.Expect, s)
		return nil
	})
	list(fs, "abort", "end the run as soon as this holds of what was so far, e.g. 'p99>2s' or 'errors>100'; may be given several times", &c.Abort)
	fs.DurationVar(&c.MaxLag, "max-lag", c.MaxLag, "the run is invalid if the tester's own timers and event loops are later than this at p99; 0 = never")
	fs.Float64Var(&c.MaxBusy, "max-busy", c.MaxBusy, "the run is invalid if the event loops are busier than this share; 0 = never")
	fs.StringVar(&o.json, "json", "", "write the result as JSON to `FILE` (- = standard output)")
	o.pages.flags(fs)
	fs.StringVar(&o.csv, "csv", "", "write each interval as a line of CSV to `FILE` while the run goes on")
	fs.StringVar(&o.jsonl, "jsonl", "", "write each interval as a line of JSON to `FILE` while the run goes on")
	fs.StringVar(&o.om, "openmetrics", "", "write all counters and quantiles in OpenMetrics' format to `FILE` at the end")
	fs.StringVar(&o.listen, "metrics-listen", "", "answer Prometheus at this `address`, path /metrics, while the run goes on")
	fs.Func("agents", "`addresses` of loadtest agents that hold the streams, e.g. a:7071,b:7071", func(s string) error {
		c.Agents = append(c.Agents, strings.Split(s, ",")...)
		return nil
	})
	securityFlags(fs, "agent-", &o.security)
	fs.IntVar(&o.repeat, "repeat", 1, "conduct the test so many times; -json holds all, for compare to know noise from change")
	fs.BoolVar(&o.quiet, "quiet", false, "no live view")
}

// list adds a flag that may be given several times.
func list(fs *flag.FlagSet, name, usage string, to *[]string) {
	fs.Func(name, usage, func(s string) error {
		*to = append(*to, s)
		return nil
	})
}

func subscriberFlags(fs *flag.FlagSet, c *config.Config) {
	fs.Func("url", "`URL` of a stream, a template with {{.N}}, {{.User}}, {{.Topic}}, {{.Topics}}, {{.Token}}; or just the server's; of servers that are one, several with commas between them, or several times", c.SetURLs)
	fs.StringVar(&c.Adapter, "adapter", c.Adapter, "what kind of server: "+strings.Join(adapter.Names(), ", "))
	fs.IntVar(&c.Streams, "streams", c.Streams, "number of streams; 0 = only publish")
	fs.IntVar(&c.Users, "users", 0, "number of users the streams belong to; 0 = one for each stream")
	fs.IntVar(&c.Topics, "topics", 0, "number of topics")
	fs.IntVar(&c.TopicsPerStream, "topics-per-stream", c.TopicsPerStream, "topics each stream follows")
	fs.Float64Var(&c.ConnectRate, "connect-rate", c.ConnectRate, "connections a second at the start")
	fs.Func("header", "request header of streams, 'Name: value', a template; may be given several times", func(s string) error {
		c.Header = append(c.Header, s)
		return nil
	})
	fs.StringVar(&c.Bearer, "bearer", "", "bearer `token` of streams, a template such as {{.Token}}")
	fs.Func("tokens", "`FILE` with one token or ticket a line: line k is {{.Token}} of user k", func(name string) error {
		lines, err := readLines(name)
		c.Tokens = lines
		return err
	})
	fs.Func("source", "local `addresses` to spread connections over, e.g. 127.0.0.1-127.0.0.4", addresses(&c.Sources))
	fs.Func("dest", "`addresses` of the server to spread connections over instead of the URL's host, e.g. 127.0.0.1,127.0.0.2:8081", c.SetDests)
	fs.StringVar(&c.Mode, "mode", c.Mode, "raw (epoll; Linux, plain HTTP/1.1), portable (net/http) or auto")
	fs.BoolVar(&c.HTTP2, "http2", false, "speak HTTP/2 (without TLS too)")
	fs.BoolVar(&c.Insecure, "insecure", false, "accept any certificate")
	fs.Func("cacert", "PEM `FILE` with the authority of the server's certificate", func(name string) error {
		b, err := os.ReadFile(name)
		c.CACert = string(b)
		return err
	})
	fs.IntVar(&c.Procs, "procs", c.Procs, "processes to spread streams over")
	fs.IntVar(&c.Loops, "loops", c.Loops, "event loops (threads) in each process, in raw mode")
	fs.DurationVar(&c.ConnectTimeout, "connect-timeout", c.ConnectTimeout, "longest wait for a connection, a head, or the answer to a push")
	fs.DurationVar(&c.Retry, "retry", c.Retry, "pause before a stream that failed or was ended connects again")
	fs.BoolVar(&c.Try, "try", c.Try, "open and close one stream before the run, so that what is wrong with the URL is said at once")
	fs.IntVar(&c.PerConn, "streams-per-connection", 0, "HTTP/2: most streams in one connection, 1 for one each; 0 = as many as the server allows")
	fs.StringVar(&c.Method, "method", "", "request `method` of streams, if not GET")
	fs.Func("body", "`template` of the body of a stream's request, or @FILE with it; {{json .Row.prompt}} is a column of -data, quoted", func(s string) (err error) {
		c.Body, err = textOrFile(s)
		return err
	})
	fs.Func("data", "`FILE` with rows for {{.Row.column}}: CSV with a head, or JSON objects by line; row k is of user k, or of request k of -finite streams", func(name string) (err error) {
		c.Rows, err = readRows(name)
		return err
	})
	fs.StringVar(&c.Login.URL, "login-url", "", "`URL` of a request that each user makes before its streams, a template; what -login-take takes of its answer is {{.Login.name}}")
	fs.StringVar(&c.Login.Method, "login-method", "", "its request `method`, if not POST")
	fs.Func("login-body", "`template` of its body, or @FILE with it", func(s string) (err error) {
		c.Login.Body, err = textOrFile(s)
		return err
	})
	list(fs, "login-header", "its request header, 'Name: value', a template; may be given several times", &c.Login.Header)
	list(fs, "login-take", "`name=json:$.path`, name=cookie:NAME or name=header:NAME; may be given several times", &c.Login.Take)
	fs.IntVar(&c.MaxEvent, "max-event", c.MaxEvent, "largest event accepted, bytes")
}

func behaviourFlags(fs *flag.FlagSet, c *config.Config) {
	fs.BoolVar(&c.Resume, "resume", c.Resume, "reconnect with Last-Event-ID, and expect what was missed")
	fs.Func("churn", "`share` of the streams that drop and come back each second, e.g. 1%", share(&c.Churn))
	fs.Func("move", "`share` of the streams that go on at the next of several URLs each minute, with Last-Event-ID, e.g. 50%", share(&c.Move))
	fs.DurationVar(&c.Away, "away", c.Away, "how long dropped streams stay away")
	fs.Func("slow", "`share` of streams that read slowly", share(&c.Slow))
	fs.IntVar(&c.SlowRate, "slow-rate", c.SlowRate, "how slowly, bytes a second")
	fs.Func("stall", "`share` of streams that never read after the head", share(&c.Stall))
	fs.Func("storm", "`moment[:share]` after publishing began at which streams drop at once, e.g. 10s or 10s:50%; may be given several times", func(s string) error {
		at, part, _ := strings.Cut(s, ":")
		d, err := time.ParseDuration(at)
		if err != nil {
			return errors.New("write for example 10s or 10s:50%")
		}
		storm := config.Storm{At: d, Share: 1}
		if part != "" {
			if storm.Share, err = config.ParseShare(part); err != nil {
				return err
			}
		}
		c.Storms = append(c.Storms, storm)
		return nil
	})
	fs.StringVar(&c.GapType, "gap-event", c.GapType, "`type` of the events by which the server tells of lost history")
	fs.BoolVar(&c.CheckIDs, "check-ids", false, "count decimal event IDs that do not rise (always with -adapter spate)")
}

func observeFlags(fs *flag.FlagSet, c *config.Config) {
	fs.DurationVar(&c.Silence, "silence", 0, "count spans without an event longer than this, where the deployment publishes by itself")
	fs.StringVar(&c.TimeFrom, "time-from", "", "where such events hold the time of their making: "+session.ExtractorUsage)
	fs.StringVar(&c.TimeFormat, "time-format", c.TimeFormat, "how: "+session.TimeFormats)
	fs.BoolVar(&c.Finite, "finite", false, "the server ends each stream, and that is success: answers of a language model; needs -adapter none")
	fs.StringVar(&c.EndMarker, "end-marker", "", "`data` of the last event of a finite stream, such as [DONE]")
	fs.StringVar(&c.TokenFrom, "token-from", "", "events in which this finds text are tokens (default: all): "+session.ExtractorUsage)
	fs.StringVar(&c.Think, "think", "", "`pause` of a finite stream before its next request: 2s, or 1s-5s; a closed model")
	fs.StringVar(&c.Arrivals, "arrivals", "", "`schedule` of the requests for finite streams, an open model; -streams is how many there may be at once: "+pacer.Usage)
}

func publisherFlags(fs *flag.FlagSet, c *config.Config) {
	fs.BoolVar(&c.Publish, "publish", true, "publish events; false: the deployment, or another loadtest with the same -run-id, does")
	fs.StringVar(&c.Rate, "rate", c.Rate, "`schedule` of the events: "+pacer.Usage)
	fs.DurationVar(&c.Duration, "duration", c.Duration, "how long events are published")
	fs.Uint64Var(&c.Events, "events", 0, "stop after this many; 0 = only by -duration")
	fs.IntVar(&c.Connections, "connections", c.Connections, "publishing connections")
	fs.IntVar(&c.Batch, "batch", c.Batch, "most events in one push, if several are due and the server takes them")
	fs.StringVar(&c.Size, "size", c.Size, "`bytes` of an event's data: 200, 100-1000 or 200:90,8000:10")
	fs.StringVar(&c.To, "to", c.To, "`addressees`: broadcast, users, topics, or weights such as broadcast=1,users=8")
	fs.StringVar(&c.EventType, "event", c.EventType, "`type` of the events")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "seed of all random choices")
	fs.StringVar(&c.RunID, "run-id", "", "hexadecimal `ID` of the run; drawn if not given")
	fs.StringVar(&c.PushURL, "push-url", "", "`URL` of the push API, if not where the adapter expects it")
	fs.StringVar(&c.PushMethod, "push-method", "", "request `method` of a push, if not the adapter's")
	fs.StringVar(&c.PushBody, "push-body", "", "`template` of a push's body for -adapter template, with {{.Data}}, {{.Event}}, {{.Kind}}, {{.User}}, {{.Topic}}, {{.Target}}")
	fs.Func("push-header", "request header of pushes, 'Name: value'; may be given several times", func(s string) error {
		c.PushHeader = append(c.PushHeader, s)
		return nil
	})
	fs.StringVar(&c.PushKey, "push-key", os.Getenv("LOADTEST_PUSH_KEY"), "bearer token, API `key`, or Mercure's publisher secret (default: $LOADTEST_PUSH_KEY)")
	fs.StringVar(&c.SubKey, "sub-key", os.Getenv("LOADTEST_SUB_KEY"), "Mercure's subscriber `secret` (default: $LOADTEST_SUB_KEY)")
}

func share(to *float64) func(string) error {
	return func(s string) (err error) {
		*to, err = config.ParseShare(s)
		return err
	}
}

func addresses(to *[]string) func(string) error {
	return func(s string) error {
		list, err := config.ParseAddresses(s)
		*to = append(*to, list...)
		return err
	}
}

// readLines reads the lines of a file that are not empty.
func readLines(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []string
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if line := strings.TrimSpace(s.Text()); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 && s.Err() == nil {
		return nil, fmt.Errorf("%s is empty", name)
	}
	return lines, s.Err()
}
