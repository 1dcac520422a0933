package cli

import (
	"runtime/debug"
	gauges "runtime/metrics"
	"time"
)

// holdHeap has garbage collected when the heap grew by so many percent (-1: not for that), and when the memory of the program
// comes near a bound, in bytes: memory is then the same for a small log and a large one. Where what is in use fills
// three quarters of that, the bound rises, because collecting would find little. The setting ends with end.
func holdHeap(percent int, bound int64) (end func()) {
	percent, was := debug.SetGCPercent(percent), debug.SetMemoryLimit(bound)
	done := make(chan struct{})
	go func() {
		live := []gauges.Sample{{Name: "/gc/heap/live:bytes"}}
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				return
			}
			gauges.Read(live)
			if used := int64(live[0].Value.Uint64()); used > bound/4*3 {
				bound = used / 3 * 4
				debug.SetMemoryLimit(bound)
			}
		}
	}()
	return func() {
		done <- struct{}{} // it is not setting anything now
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(was)
	}
}
