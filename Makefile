# spate: everything a contributor runs. Needs Go and make; the browser tests also want a Chromium, a Firefox and npm.

SHELL      := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO         ?= go
# What `make run` passes on, e.g. make run ARGS='--listen 127.0.0.1:9000'.
ARGS       ?=
# Time given to each fuzz target.
FUZZTIME   ?= 10s
# Which benchmarks, in which packages, how often.
BENCH      ?= .
BENCHPKG   ?= ./...
BENCHCOUNT ?= 6
BENCHTIME  ?= 1s
# Percent by which bench-compare lets a figure become worse; empty = it only shows.
MAX        ?=
# SHORT=1 makes bench-peers smaller.
SHORT      ?=
# Kill rounds of `make torture` (50), and rounds of `make bench-peers` (7).
ROUNDS     ?=
# How often `make torture` repeats the random tests, each time with another seed.
REPEAT     ?= 10

# Steps that `make model` explores of the hand-over; each more takes three to four times as long (7: three minutes).
MODELDEPTH ?= 7

# Every module of the repository but the tools: the main one first, then the nested ones. Those of OTHERS need programs of
# others (browsers, proxies, servers, npm) and have a target of their own.
MODULES    := . $(patsubst %/go.mod,%,$(shell find . -mindepth 2 -name go.mod -not -path './tools/*' -not -path '*/node_modules/*' | sort))
OTHERS     := ./cmd/spate/apitest ./cmd/spate/browsertest ./interop ./loadtest/realtest ./cluster/jetstream/natstest
ALONE      := github.com/spatehub/spate/loadtest/internal/run
TOOLS       = $(GO) tool -modfile=$(CURDIR)/tools/go.mod

.PHONY: help
help: ## Show these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Start the hub with the demo feed (ARGS='--listen 127.0.0.1:9000' passes flags on)
	@# What is in Go's cache is not compiled, and not named. Without C, as a release is: less to compile.
	@export CGO_ENABLED=0; total=$$($(GO) list -deps ./cmd/spate | wc -l); \
	echo "building the hub of $$total packages: seconds if they were built before, else some minutes"; \
	$(GO) build -v -buildvcs=auto -ldflags=-w -o bin/spate ./cmd/spate 2>&1 | \
		awk -v total=$$total '/^[^ :#]+$$/ {printf "  compiling %d of at most %d: %s\n", ++n, total, $$0; fflush(); next} {print; fflush()}'
	@# At a terminal the hub gets a job of its own, so that Ctrl-C ends the hub alone, and what its end is worth is the
	@# hub's to say: make would call every Ctrl-C a failure.
	@if [ -t 0 ]; then set -m; fi; bin/spate serve --demo $(ARGS); exit

.PHONY: cluster
cluster: ## Three NATS servers and three hubs on loopback, the demo feed, and clients that move (ARGS='-chaos' kills and stops some all the time)
	cd cluster/jetstream/natstest && $(GO) run ./run $(ARGS)

.PHONY: build
build: ## Build the hub into bin/spate
	$(GO) build -buildvcs=auto -o bin/spate ./cmd/spate

# Where make release puts what it makes.
DIST       ?= dist
# What it is made for: os/arch, several with spaces; empty = linux, darwin, windows on amd64, arm64.
TARGETS    ?=

.PHONY: release
release: ## Static binaries, completions, man page, checksums into DIST (dist); the same bytes each time (TARGETS=linux/amd64)
	GO=$(GO) scripts/release.sh '$(DIST)' $(TARGETS)

.PHONY: release-check
release-check: ## Two releases of this commit, made at different places, are the same bytes (minutes: all is built anew)
	cd interop && RELEASE_CHECK=1 $(GO) test -count=1 -timeout 40m -v -run '^TestRelease$$' .

.PHONY: image
image: ## The hub as a container image spate:latest, with docker or buildah
	@rm -rf dist/image-release && $(MAKE) release DIST=dist/image-release TARGETS=linux/$$($(GO) env GOARCH)
	@if command -v docker >/dev/null && docker info >/dev/null 2>&1; then build="docker build"; else build="buildah build --format docker"; fi; \
	$$build --build-arg TARGETARCH=$$($(GO) env GOARCH) -f packaging/Dockerfile -t spate:latest dist/image-release/image

# Everything is run even if something fails, so that one look at the output tells all. Two lanes: tests that wait leave room,
# and near its end a lane has one package left. What the second one prints comes after the first. ALONE comes last, with the
# processors to itself: its tests measure time. The checks of spatecheck come on top of what there is: the race detector looks
# at both at once, and the ring, the engine and the log as they are shipped are tested without it, with the bounds on
# allocations. The engine's hubs write in batches (engine.WithBatchWriter) under it, and one by one without. What does one
# thing after the other (internal/testrace), and the model's full depth, runs only there: it is ten times as fast. A program
# with the race detector waits a second at its end if GORACE does not say otherwise.
.PHONY: test
test: ## All tests of all modules under -race and spatecheck; ringbuf, engine, and allocations and rewriting again as they are shipped
	@export GORACE="atexit_sleep_ms=20 $${GORACE:-}"; second=; \
	out=$$(mktemp); failed=$$(mktemp); trap 'rm -f "$$out" "$$failed"; [ -z "$$second" ] || kill -- -$$second 2>/dev/null || :' EXIT; trap 'exit 1' INT TERM; \
	run() { echo "== $$*"; "$$@" || echo "$$*" >>"$$failed"; }; \
	set -m; { \
		run $(GO) test -p 1 -timeout 5m ./ringbuf ./engine ./persist/pebblelog; \
		run $(GO) test -p 1 -timeout 5m -tags spatecheck -run Model ./engine; \
		run $(GO) test -p 1 -timeout 5m -run 'Alloc|PatternLooks|AreBounded|StayForLonger' ./wire ./compress ./persist ./serve/stream/... ./cluster; \
		for m in $(filter-out . $(OTHERS),$(MODULES)); do \
			echo "== in $$m"; cd $$m; run $(GO) test -race -p 1 -timeout 12m ./...; cd $(CURDIR); \
		done; \
	} >"$$out" 2>&1 & second=$$!; set +m; \
	run env SPATETEST_BATCHES=1 $(GO) test -race -tags spatecheck -timeout 12m $$($(GO) list ./... | grep -vxF '$(ALONE)'); \
	wait $$second || echo "the second lane" >>"$$failed"; second=; cat "$$out"; \
	run $(GO) test -race -tags spatecheck -timeout 12m $(ALONE); \
	[ ! -s "$$failed" ] || { echo FAILED; cat "$$failed"; exit 1; }

# For every save. What it leaves out takes long: models, crashes, time-outs, crowds, damaged and large logs, and what starts
# programs.
SLOW       := Model|UnderFire|PowerCut|EachCallFails|Repair|TablesHold|FullDisk|Expires|SlowReader|Timeouts|Stalled|HoldsNo|Kill|Demo
SLOW       := $(SLOW)|ExactlyOnce|GoesOnAfterARestart|MeasuresLag|ThatHang|RunSentInPart|DrainIsSpread|LightEmbedding|LinksNo|Recipe
SLOW       := $(SLOW)|Worker|VariablesOfTests|AStorm|Crowds|Damage|DiskUse|CostTheSame|PatternLooks|Linear|MemoryCounts|StoreConformance
SLOW       := $(SLOW)|ReadOnlyFolder|WrittenAnew|TornFile|KeyFiles|AFullList|StayForLonger|JoinAndLeaveInTurn|InTheirPlaces|CutShort
SLOW       := $(SLOW)|WhoComes|SettingsOutOfRange|NoRate|NoRunHas|TinyRing|GuardedIdle|DoesNotCome|NotReadTheReason|IsReplaced|LargestEvent
SLOWPKGS   := $(ALONE) $(addprefix github.com/spatehub/spate/,examples bench/internal/rig loadtest/internal/cli internal/snippets)
.PHONY: quick
quick: ## The main module's tests without the race detector and without those that take long
	$(GO) test -timeout 2m -skip '$(SLOW)' $$($(GO) list ./... | grep -vxF $(foreach p,$(SLOWPKGS),-e $(p)))

.PHONY: lint
lint: cross ## gofmt, go vet and staticcheck on all modules; the builds of other machines
	@unformatted=$$(gofmt -l . ); if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	@for m in $(MODULES); do \
		echo "== go vet, staticcheck in $$m"; \
		(cd $$m && $(GO) vet ./... && $(TOOLS) staticcheck ./...); \
	done
	@echo "== go vet, staticcheck with -tags spatecheck"
	@$(GO) vet -tags spatecheck ./ringbuf/... ./engine/... && $(TOOLS) staticcheck -tags spatecheck ./ringbuf/... ./engine/...

# Two lanes: the browsers wait much. What the second one prints comes after the first.
.PHONY: interop
interop: ## With programs of others: the dashboard in browsers, clients and proxies through kill -9, Prometheus, other servers (skips what is not there)
	@out=$$(mktemp); trap 'rm -f "$$out"' EXIT; export SPATETEST_PEERS=1 PATH="$(CURDIR)/bin:$$PATH"; \
	lane() { for m in "$$@"; do \
		echo "== in $$m"; (cd $$m && $(GO) test -count=1 -timeout 15m ./...) || { echo "FAILED in $$m"; failed=1; }; \
	done; [ -z "$${failed:-}" ]; }; \
	lane $(filter-out ./cmd/spate/browsertest,$(OTHERS)) ./bench/peers > "$$out" 2>&1 & other=$$!; \
	ok=0; lane ./cmd/spate/browsertest || ok=1; \
	wait $$other || ok=1; \
	cat "$$out"; exit $$ok

# 386 finds what needs 64 bits, and is vetted with its tests; darwin and windows find what needs Linux.
.PHONY: cross
cross: ## go vet for 386, and builds for darwin on arm64 and windows
	@echo "== go vet for 386"; CGO_ENABLED=0 GOARCH=386 $(GO) vet ./...
	@echo "== go build for darwin"; CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build ./...
	@echo "== go build for windows"; CGO_ENABLED=0 GOOS=windows GOARCH=amd64 $(GO) build ./...

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME (10s)
	GO=$(GO) scripts/fuzz.sh $(FUZZTIME)

.PHONY: cover
cover: ## Statement coverage of the main module, and bin/cover.html
	@mkdir -p bin
	$(GO) test -coverpkg=./... -coverprofile=coverage.out ./...
	$(GO) tool cover -html=coverage.out -o bin/cover.html
	@$(GO) tool cover -func=coverage.out | tail -1

.PHONY: bench
bench: ## Benchmarks into bin/bench.txt, for benchstat (BENCH, BENCHPKG, BENCHCOUNT, BENCHTIME)
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(BENCHCOUNT) -benchtime $(BENCHTIME) -timeout 0 $(BENCHPKG) | tee bin/bench.txt
	@$(TOOLS) benchstat bin/bench.txt

.PHONY: bench-compare
bench-compare: ## Compare the benchmarks of BASE=<rev> with those of the working tree, interleaved (MAX=5: fail beyond 5 % worse)
	@test -n "$(BASE)" || { echo "usage: make bench-compare BASE=<rev> [BENCH=regexp] [BENCHPKG=./wire] [BENCHCOUNT=6] [MAX=5]" >&2; exit 2; }
	GO=$(GO) scripts/bench-compare.sh '$(BASE)' '$(BENCHPKG)' '$(BENCH)' '$(BENCHCOUNT)' '$(BENCHTIME)' '$(MAX)'

# Centrifugo is built once, by bench-peers-servers, into bin; without it, it is left out, and the page says so.
.PHONY: bench-peers
bench-peers: ## The same work on other SSE libraries and servers, as tables into docs/benchmarks.md and a picture (ROUNDS=7, four hours at most; SHORT=1; ARGS='-works flat')
	cd bench/peers && PATH="$(CURDIR)/bin:$$PATH" $(GO) run . $(if $(SHORT),-short) $(if $(ROUNDS),-rounds $(ROUNDS)) $(ARGS)

.PHONY: bench-peers-servers
bench-peers-servers: ## Build Centrifugo into bin, for bench-peers and interop (some minutes; nchan is Debian's libnginx-mod-nchan)
	GOBIN="$(CURDIR)/bin" CGO_ENABLED=0 $(GO) install -ldflags=-w github.com/centrifugal/centrifugo/v6@v6.9.1

.PHONY: loadtest-picture
loadtest-picture: ## Run loadtest against a hub and make the picture of its report that the README shows; needs a Chromium
	GO=$(GO) scripts/loadtest-picture.sh

.PHONY: bench-clients
bench-clients: ## The Go client beside other Go SSE clients, speed and behaviours, as tables into docs/client.md
	cd bench/peers && $(GO) run ./clients $(ARGS)

.PHONY: torture
torture: ## Long crash tests: ROUNDS (50) times kill -9 under load, power cuts, failing disks, resume under fire
	SPATETEST_KILL_ROUNDS=$(or $(ROUNDS),50) $(GO) test -race -count=1 -timeout 0 -v -run '^TestKill$$' ./cmd/spate
	$(GO) test -race -count=$(REPEAT) -timeout 0 -run 'PowerCut|DiskFails|EachCallFails|UnderFire' ./persist/... ./engine/...

# Pushes of each publisher in torture-cluster; the part with processes ends after TORTURETIME seconds, or DELIVERIES.
PUSHES     ?= 3000
TORTURETIME ?= 3600
DELIVERIES ?= 10000000
.PHONY: torture-cluster
torture-cluster: ## Exactly-once in a cluster, long: over an orderer that fails, NATS servers that are killed and cut off, streams that are purged and made anew, and hubs that are killed with -9, cut off, and have full disks; and each user joins and leaves in turn
	SPATETEST_CLUSTER_PUSHES=$(PUSHES) $(GO) test -count=1 -timeout 0 -v -run '^TestExactlyOnce$$' ./cluster
	cd cluster/jetstream/natstest && SPATETEST_CLUSTER_PUSHES=$(PUSHES) $(GO) test -count=1 -timeout 0 -v -run '^TestExactlyOnce$$' .
	cd cluster/jetstream/natstest && $(GO) run ./run -chaos -presence -demo=false -clients 400 -batch 20 -pause 20ms -stay 8s -deliveries $(DELIVERIES) -for $(TORTURETIME)s
	cd cluster/jetstream/natstest && $(GO) run ./run -chaos -lossy -demo=false -clients 400 -batch 20 -pause 20ms -stay 8s -deliveries $$(($(DELIVERIES) / 4)) -for $(TORTURETIME)s

.PHONY: model
model: ## Model checks: rings, log and hand-over against obviously right twins
	SPATETEST_MODEL_DEPTH=$(MODELDEPTH) $(GO) test -count=1 -v -timeout 60m -run 'Model|Against' ./ringbuf/... ./persist/... ./engine/...
