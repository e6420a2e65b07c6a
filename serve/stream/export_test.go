package stream

// ForgetDescriptors has the next stream look at the descriptors.
func ForgetDescriptors() { lastLook.Store(nil) }
