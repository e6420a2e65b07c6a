package engine

import "runtime"

// What a shard does is bounded by what it costs, in the unit of a byte that is
// written. A look costs too: at an entry of the window, at one user of an audience,
// at one topic of a client that comes or goes. A write costs writeCost and its bytes.
const (
	lookCost  = 32
	passCost  = 4 // of one that a walk passes over
	markCost  = 128
	topicCost = 256
	writeCost = 2 << 10

	// passBudget is what a shard spends before it lets other goroutines of the
	// processor go first, so that a sweep over very many clients keeps nobody
	// else's private event waiting. Writes that are flushed together may make it twice that.
	passBudget = 256 << 10
	// maxMail and mailBudget bound the clients looked at in one pass, and what
	// is written to them: however many resume, and however fast the log's
	// readers answer, the ring gets its turn.
	maxMail    = 256
	mailBudget = 512 << 10
	// sweepBudget is what a look at many clients may cost in one go: those in
	// trouble, early and idle ones, those to be ended with the hub.
	sweepBudget = 512 << 10
	// markBudget is what marking the users of an event may cost in one go, and of several
	// events that are delivered together.
	markBudget = 512 << 10
	// liveBudget is what fan-outs may cost in one pass, after the first one.
	liveBudget = 2 << 20
)

// budget is what a shard has spent. Work that is to be cut asks first until where it
// may go, and looks now and then whether it is there.
type budget struct {
	cost    int // of all work so far
	yieldAt int // cost at which to let others go first
	mailEnd int // cost at which the pass has spent enough on its mail
}

// until is the cost at which so much will have been spent from here.
func (b *budget) until(most int) int { return b.cost + most }

// reached says whether an end that until gave is.
func (b *budget) reached(end int) bool { return b.cost >= end }

// charge notes work without giving way, within what must not be interrupted often.
func (b *budget) charge(cost int) { b.cost += cost }

// spend notes work, and lets others go first where it is much.
func (b *budget) spend(cost int) {
	b.cost += cost
	b.yield()
}

// yield lets other goroutines run once in a while within a long sweep.
func (b *budget) yield() {
	if b.cost >= b.yieldAt {
		b.yieldAt = b.cost + passBudget
		runtime.Gosched()
	}
}

// openMail begins the pass's spending on mail.
func (b *budget) openMail() { b.mailEnd = b.until(mailBudget) }

// mailSpent says whether the pass has spent enough on it.
func (b *budget) mailSpent() bool { return b.cost >= b.mailEnd }
