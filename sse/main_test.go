package sse_test

import (
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	// The goroutines there are now belong to the default pool of ants, which nobody uses.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
