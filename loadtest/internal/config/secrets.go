package config

// Secrets are the values that are not stored with results but that worker
// processes need.
type Secrets struct {
	Header     []string
	Bearer     string
	Tokens     []string
	Insecure   bool
	CACert     string
	PushHeader []string
	PushKey    string
	SubKey     string
}

// Secrets takes the secrets of c.
func (c *Config) Secrets() Secrets {
	return Secrets{c.Header, c.Bearer, c.Tokens, c.Insecure, c.CACert, c.PushHeader, c.PushKey, c.SubKey}
}

// SetSecrets is the reverse of Secrets.
func (c *Config) SetSecrets(s Secrets) {
	c.Header, c.Bearer, c.Tokens, c.Insecure, c.CACert = s.Header, s.Bearer, s.Tokens, s.Insecure, s.CACert
	c.PushHeader, c.PushKey, c.SubKey = s.PushHeader, s.PushKey, s.SubKey
}
