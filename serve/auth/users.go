package auth

import (
	"encoding/json"
	"fmt"

	"github.com/spatehub/spate/serve/internal/fresh"
	"github.com/spatehub/spate/serve/stream"
)

// anyUser is the entry of a file of [UserRights] for users without one.
const anyUser = "*"

// UserRights returns what the users of a JSON file may do, for [MutualTLS]. The
// file is read anew when it changes; report is told where that fails, and the
// rights of before stay:
//
//	{"users": {"ann": {"read": ["orders.>"], "push": {"topics": ["orders.*"]}}, "*": {"read": ["news"]}}}
//
// The rights are as [ParseRights] says. Those of "*" are for users without an
// entry; without it these have none. The function reports whether there are any.
func UserRights(path string, report func(error)) (func(user string) (stream.Grant, bool), error) {
	value, err := fresh.New(func() (map[string]stream.Grant, error) {
		text, err := readSmall(path)
		if err != nil {
			return nil, err
		}
		users, err := parseUserFile(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return users, nil
	}, report, []string{path})
	if err != nil {
		return nil, err
	}
	return func(user string) (stream.Grant, bool) {
		users := value.Get()
		g, ok := users[user]
		if !ok {
			g, ok = users[anyUser]
		}
		return g, ok
	}, nil
}

func parseUserFile(text []byte) (map[string]stream.Grant, error) {
	users := map[string]stream.Grant{}
	err := object("", text, func(name, at string, v json.RawMessage) error {
		if name != "users" {
			return errUnknown
		}
		return object(at, v, func(user, at string, v json.RawMessage) error {
			var g stream.Grant
			if err := checkUser(user); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			if len(users) >= maxStatic {
				return fmt.Errorf("users: has more than %d entries", maxStatic)
			}
			if err := ParseRights(v, &g); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			users[user] = g
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return users, nil
}
