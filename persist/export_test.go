package persist

// WithMaxFloors sets how many floors of topics are remembered.
func WithMaxFloors(n int) Option { return func(c *config) { c.maxFloors = n } }

// Looks is Query, and how much it looked at.
func (m *Memory) Looks(q Query, after uint64, lim Limit) (Page, int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	page, looks := m.queryLocked(&q, after, lim)
	return page, looks, nil
}

// TopicNames returns the topics of the index in order, and the sizes of its blocks.
func (m *Memory) TopicNames() (names []string, blocks []int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.mu.byName.each("", func(s *memStream) bool { names = append(names, s.key.name); return true })
	for _, b := range m.mu.byName.blocks {
		blocks = append(blocks, len(b))
	}
	return names, blocks
}
