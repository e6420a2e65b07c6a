package run

// Halve is for the test of long timelines.
var Halve = halve
