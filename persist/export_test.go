package persist

// WithMaxFloors sets how many floors of topics are remembered.
func WithMaxFloors(n int) Option { return func(c *config) { c.maxFloors = n } }
