package adapter

import (
	"fmt"
	"net/url"
	"strings"
	"text/template"
)

// LoginRequest is the request by which the user of stream n logs in.
func (a *Adapter) LoginRequest(n int) (Subscribe, error) {
	l, v := &a.cfg.Login, a.vars(n)
	execute := func(flag, text string) (string, error) {
		t, err := template.New(flag).Option("missingkey=error").Funcs(bodyFuncs).Parse(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", flag, err)
		}
		var b strings.Builder
		if err := t.Execute(&b, v); err != nil {
			return "", fmt.Errorf("%s: %w", flag, err)
		}
		return b.String(), nil
	}
	text, err := execute("-login-url", l.URL)
	if err != nil {
		return Subscribe{}, err
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return Subscribe{}, fmt.Errorf("-login-url gives %q, which is not a URL", text)
	}
	s := Subscribe{Method: l.Method, URL: u}
	if s.Method == "" {
		s.Method = "POST"
	}
	body, err := execute("-login-body", l.Body)
	if err != nil {
		return Subscribe{}, err
	}
	s.Body = []byte(body)
	for _, h := range l.Header {
		name, value, err := cutHeader(h)
		if err != nil {
			return Subscribe{}, fmt.Errorf("-login-header %w", err)
		}
		if value, err = execute("-login-header", value); err != nil {
			return Subscribe{}, err
		}
		s.Header = append(s.Header, Header{name, value})
	}
	return s, nil
}

// LoggedIn keeps what the login of stream n's user has given.
func (a *Adapter) LoggedIn(n int, values map[string]string) { a.logins.Store(a.cfg.User(n), values) }

// login is what the user's login has given; before it, nothing for every name.
func (a *Adapter) login(user uint32) map[string]string {
	if v, ok := a.logins.Load(user); ok {
		return v.(map[string]string)
	}
	none := map[string]string{}
	for _, take := range a.cfg.Login.Take {
		name, _, _ := strings.Cut(take, "=")
		none[name] = ""
	}
	return none
}
