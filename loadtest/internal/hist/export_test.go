package hist

// For tests of the layout.
var (
	Step   = step
	Bounds = bounds
)
