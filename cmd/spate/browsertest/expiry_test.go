package browsertest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const jwtSecret = "a secret of the tests, of 32 bytes and more"

// signed is a JWT of the user tom that is good for a time.
func signed(rights string, good time.Duration) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	text := part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"sub":"tom","exp":%d,"spate":%s}`, time.Now().Add(good).Unix(), rights))
	mac := hmac.New(sha256.New, []byte(jwtSecret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestCredentialsThatExpireUnderThePage: the stream ends with them, the page says why and asks for nothing that it may not have,
// and with new ones it goes on where it was: what was pushed meanwhile comes, and nothing twice.
func TestCredentialsThatExpireUnderThePage(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		secret := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(secret, []byte(jwtSecret), 0o600))
		h := startPlain(t, "--jwt-secret-file", secret)
		var token atomic.Value
		base := startFront(t, h, map[string]func(http.ResponseWriter, *http.Request, http.Handler){
			"": func(w http.ResponseWriter, r *http.Request, hub http.Handler) {
				r.Header.Set("Authorization", "Bearer "+token.Load().(string))
				hub.ServeHTTP(w, r)
			},
		})
		const readOnly = `{"read":["orders.*"]}`
		say := func(data string) {
			t.Helper()
			req, err := http.NewRequest(http.MethodPost, h.base+"/push", strings.NewReader(`{"events":[{"topic":"orders.1","data":"`+data+`"}]}`))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+signed(`{"push":{"topics":["orders.*"]}}`, time.Hour))
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			res.Body.Close()
			require.Equal(t, http.StatusOK, res.StatusCode)
		}
		token.Store(signed(readOnly, 15*time.Second))
		page := open()
		page.navigate(t, base+"/")
		await(t, page, live)
		say("before")
		await(t, page, rowWith("before"))
		await(t, page, `document.querySelector("#state").textContent === "refused" && /^The hub does not know any more who reads this page since .*401/.test(document.querySelector("#why").textContent)`)
		require.True(t, get[bool](t, page, `document.querySelector("#again").checkVisibility()`))
		say("meanwhile")
		token.Store(signed(readOnly, time.Hour))
		page.eval(t, `document.querySelector("#again").click()`, nil)
		await(t, page, live+` && document.querySelector("#notice").hidden`)
		await(t, page, rowWith("meanwhile"))
		require.Equal(t, []int{0, 0, 2}, get[[]int](t, page, "[spate.gaps.length, spate.faults, spate.events]"))
	})
}
