package persist_test

import "context"

var ctx = context.Background()
