package serve_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/wire"
)

// A Gin program streams to its users and lets others push.
func ExampleServe() {
	hub := engine.NewHub()
	r := gin.New()
	r.GET("/events", func(c *gin.Context) {
		serve.Serve(c, hub, c.Query("uid")) // from the session, in earnest
	})
	r.POST("/push", serve.PushEventHandler(hub))
	server := httptest.NewServer(r)
	defer server.Close()

	resp, err := http.Get(server.URL + "/events?uid=u001")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()

	answer, err := http.Post(server.URL+"/push", "application/json",
		strings.NewReader(`{"uids":["u001"],"events":[{"event":"message","data":"hello"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer.Body.Close()
	e, err := wire.NewDecoder(resp.Body).Next()
	fmt.Println(e.Event, e.Data, err)
	hub.Close()
	// Output: message hello <nil>
}

// With net/http, identify says who the client is, and refuses those it does not
// know.
func ExampleHandler() {
	hub := engine.NewHub()
	defer hub.Close()
	identify := func(r *http.Request) (string, []string, error) {
		uid := r.Header.Get("X-User")
		if uid == "" {
			return "", nil, &serve.Error{Status: http.StatusUnauthorized, Message: "sign in first"}
		}
		return uid, r.URL.Query()["topic"], nil
	}
	server := httptest.NewServer(serve.Handler(hub, identify))
	defer server.Close()

	resp, err := http.Get(server.URL + "/?topic=news")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(resp.StatusCode, " ", string(body))
	// Output: 401 {"title":"Unauthorized","status":401,"detail":"sign in first"}
}

// What is wrong with a push is said by field, and nothing of it is published.
func ExamplePushHandler() {
	hub := engine.NewHub()
	defer hub.Close()
	push := serve.PushHandler(hub)
	for _, body := range []string{
		`{"uids":[],"events":[{"data":"hello"}]}`,
		`{"events":[{"data":"hello"},{"event":"greeting"}]}`,
	} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/push", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		push.ServeHTTP(rec, req)
		fmt.Print(rec.Code, " ", rec.Body)
	}
	// Output:
	// 400 {"title":"Bad Request","status":400,"detail":"is an empty list: leave it out for everyone","field":"uids"}
	// 400 {"title":"Bad Request","status":400,"detail":"is missing","field":"events[1].data"}
}
