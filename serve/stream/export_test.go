package stream

// WhyNoIOUring is what is said beside an error of the system.
func WhyNoIOUring(err error) string { return whyNoIOUring(err) }

// ForgetDescriptors has the next stream look at the descriptors.
func ForgetDescriptors() { lastLook.Store(nil) }
