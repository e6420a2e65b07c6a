//go:build linux
package bench_test
import ("testing";"os";"strconv";"fmt";"time";"slices";"github.com/spatehub/spate/engine";"github.com/spatehub/spate/persist")
func BenchmarkZZ(b *testing.B) {
	pubs, _ := strconv.Atoi(os.Getenv("PUBS"))
	l, err := persist.Open(b.TempDir(), persist.WithSync(os.Getenv("SYNC")=="1"))
	if err != nil { b.Fatal(err) }
	hub := engine.NewHub(quiet(), engine.WithLog(l))
	defer hub.Close()
	for range 3 {
	awaitIdle(b)
	c0, t0 := processTime(b), time.Now()
	n, w := pushAll(b, hub, pubs)
	c1 := processTime(b)
	slices.Sort(w)
	fmt.Printf("batch %d ", engine.ZEvents/engine.ZBatches); fmt.Printf("pubs %d sync %s: %.0f/s cpu %.2f µs/push p50 %v p99 %v\n", pubs, os.Getenv("SYNC"), float64(n)/time.Since(t0).Seconds(), (c1-c0).Seconds()*1e6/float64(n), w[len(w)/2], w[len(w)*99/100])
	}
}
