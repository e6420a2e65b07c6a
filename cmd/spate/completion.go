package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
)

// runCompletion prints completions made of the commands' own flags.
func runCompletion(_ context.Context, s streams, args []string) error {
	fs := newFlagSet("completion bash|zsh|fish")
	if err := fs.parse(s, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return usagef("give one of bash, zsh, fish")
	}
	switch shell := fs.Arg(0); shell {
	case "bash":
		bashCompletion(s.out, describe())
	case "zsh":
		fmt.Fprint(s.out, "#compdef spate\n# Completions of spate for zsh: a file _spate in a folder of $fpath.\nautoload -U +X bashcompinit && bashcompinit\n")
		bashCompletion(s.out, describe())
	case "fish":
		fishCompletion(s.out, describe())
	default:
		return usagef("%q: give one of bash, zsh, fish", shell)
	}
	return nil
}

// bashCompletion writes a function that knows commands, the commands under them, and flags. Where a value or an argument
// is due, it offers file names.
func bashCompletion(w io.Writer, docs []commandDoc) {
	top, under := commandNames(docs)
	fmt.Fprintf(w, `# Completions of spate for bash: source this, or put it into a folder of bash-completion.
_spate() {
	local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} flags=
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W %q -- "$word"))
		return
	fi
	if [[ $command == log ]]; then
		if ((COMP_CWORD == 2)); then
			COMPREPLY=($(compgen -W %q -- "$word"))
			return
		fi
		command="log ${COMP_WORDS[2]}"
	fi
	case $command in
`, strings.Join(append(top, "help"), " "), strings.Join(under, " "))
	for _, d := range docs {
		flags := []string{"--help"}
		for _, f := range d.flags {
			flags = append(flags, "--"+f.name)
		}
		fmt.Fprintf(w, "\t%q) flags=%q ;;\n", d.name, strings.Join(flags, " "))
	}
	fmt.Fprint(w, `	esac
	if [[ $command == completion ]]; then
		COMPREPLY=($(compgen -W "bash zsh fish" -- "$word"))
	elif [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$word"))
	else
		COMPREPLY=($(compgen -f -- "$word"))
	fi
}
complete -o filenames -F _spate spate
`)
}

// fishCompletion writes one line a command and a flag.
func fishCompletion(w io.Writer, docs []commandDoc) {
	_, under := commandNames(docs)
	fmt.Fprint(w, "# Completions of spate for fish: a file spate.fish in ~/.config/fish/completions.\ncomplete -c spate -f -n __fish_use_subcommand -a help -d 'list the commands'\n")
	for _, d := range docs {
		first, second, nested := strings.Cut(d.name, " ")
		given := "__fish_seen_subcommand_from " + first
		if nested {
			fmt.Fprintf(w, "complete -c spate -f -n '%s; and not __fish_seen_subcommand_from %s' -a %s -d %s\n", given, strings.Join(under, " "), second, fishQuote(d.summary))
			given += "; and __fish_seen_subcommand_from " + second
		} else {
			fmt.Fprintf(w, "complete -c spate -f -n __fish_use_subcommand -a %s -d %s\n", first, fishQuote(d.summary))
		}
		for _, f := range d.flags {
			takes := ""
			if f.kind != "" {
				takes = " -r"
			}
			fmt.Fprintf(w, "complete -c spate%s -n '%s' -l %s -d %s\n", takes, given, f.name, fishQuote(f.text))
		}
	}
	fmt.Fprint(w, "complete -c spate -f -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n")
}

// commandNames are the names of the commands, and of those under `log`.
func commandNames(docs []commandDoc) (top, under []string) {
	for _, d := range docs {
		if first, second, nested := strings.Cut(d.name, " "); nested {
			under = append(under, second)
		} else {
			top = append(top, first)
		}
	}
	return top, under
}

func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// runMan prints the manual page, made of the commands' own flags.
func runMan(_ context.Context, s streams, args []string) error {
	fs := newFlagSet("man")
	if err := fs.parse(s, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef("unexpected argument %q", fs.Arg(0))
	}
	manPage(s.out, describe())
	return nil
}

// manPage writes a page for section 1, in man(7).
func manPage(w io.Writer, docs []commandDoc) {
	fmt.Fprintf(w, ".TH SPATE 1 \"\" \"spate %s\" \"spate\"\n.SH NAME\nspate \\- hub for Server\\-Sent Events\n.SH SYNOPSIS\n", roff(version()))
	for _, d := range docs {
		fmt.Fprintf(w, ".B spate %s\n%s\n.br\n", roff(d.name), cmp.Or(roff(d.args), `\&`))
	}
	fmt.Fprint(w, ".SH DESCRIPTION\nA hub takes events from programs and pushes them to very many connections, each as one stream of Server\\-Sent Events that resumes where it broke off.\n"+
		"Every flag of\n.B spate serve\ncan be given in the environment as well. A flag wins over the environment.\n.SH COMMANDS\n")
	for _, d := range docs {
		fmt.Fprintf(w, ".SS spate %s %s\n%s.\n", roff(d.name), roff(d.args), roff(strings.ToUpper(d.summary[:1])+d.summary[1:]))
		for _, f := range d.flags {
			fmt.Fprintf(w, ".TP\n\\fB\\-\\-%s\\fR", roff(f.name))
			if f.kind != "" {
				fmt.Fprintf(w, " \\fI%s\\fR", roff(f.kind))
			}
			fmt.Fprintf(w, "\n%s.", roff(f.text))
			if f.value != "" {
				fmt.Fprintf(w, " Default: %s.", roff(f.value))
			}
			fmt.Fprintf(w, " Environment:\n.BR %s .\n", roff(f.env))
		}
	}
	fmt.Fprint(w, ".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nSomething failed; one line says what.\n.TP\n2\nWrong usage.\n.SH SEE ALSO\nhttps://github.com/spatehub/spate\n")
}

// roff escapes text for a man page. No line of ours begins with it unless it begins with a letter, so that dots and
// quotes at a line's beginning need nothing.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(text)
}
