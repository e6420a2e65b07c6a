package plan

import (
	"fmt"
	"math/rand/v2"
)

// Quotes returns JSON objects of about that size, the same ones each time.
func Quotes(size int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	texts := make([][]byte, 64)
	for i := range texts {
		b := fmt.Appendf(nil, `{"symbol":"ACME","time":"2026-11-28T00:%02d:%02d.%06dZ","venue":"XNAS","flags":["live","firm"],"levels":[`,
			r.IntN(60), r.IntN(60), r.IntN(1e6))
		for n := 0; len(b) < size; n++ {
			b = fmt.Appendf(b, `{"bid":%.4f,"ask":%.4f,"size":%d},`, 100*r.Float64(), 100*r.Float64(), r.IntN(10000))
		}
		texts[i] = append(b[:len(b)-1], "]}"...)
	}
	return texts
}
