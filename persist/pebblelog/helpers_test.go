package pebblelog_test

import "context"

var ctx = context.Background()
