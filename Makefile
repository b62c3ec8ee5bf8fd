# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The front door; the build itself is CMake + Ninja (CMakePresets.json).
#
#   make run      install what is missing, build, start a demo node
#   make check    all tests in their short form; the last line is the verdict
#   make soak     the long forms: hours
#   make build    build/alknet, build/libalknet.*
#   make bench    measure against the peers of docs/design/bench.md
#   make fuzz T=name [SECONDS=n]    one fuzz target (fuzz/name.c)
#   make lint | format | docs | install | deb | clean
#
# JOBS=n limits what runs at once. PREFIX and DESTDIR are for install.
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
SECONDS ?= 60
T ?=
CLANG_FORMAT ?= $(shell command -v clang-format-14 || echo clang-format)
RELEASE = cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX)
LINKS = alknet git-remote-alknet libalknet.a libalknet.so libalknet.so.0

.PHONY: all build run check soak bench fuzz lint format docs install deb clean
all: build

build:
	@mkdir -p build
	@$(RELEASE) >build/configure.log 2>&1 || { cat build/configure.log; \
	    echo "Is something missing? tools/deps build installs it."; exit 1; }
	@cmake --build build/release -j $(JOBS)
	@cd build && for f in $(LINKS); do if [ -e release/$$f ]; then ln -sfn release/$$f $$f; fi; done

run:
	@tools/deps build
	@$(MAKE) --no-print-directory build
	@exec tools/run-demo

check:
	@command -v python3 >/dev/null && command -v cmake >/dev/null || tools/deps build check
	@exec tools/check

soak:
	@command -v python3 >/dev/null && command -v cmake >/dev/null || tools/deps build check soak
	@exec tools/check --soak

bench:
	@tools/deps build bench
	@$(RELEASE) >/dev/null
	@cmake --build build/release -j $(JOBS) --target bench
	@exec bench/run

fuzz:
	@[ -n "$(T)" ] || { echo "make fuzz T=name, where name is one of:"; \
	    cd fuzz && ls *.c | sed 's/\.c$$//; s/^/  /'; exit 2; }
	@cmake --preset fuzz >/dev/null
	@cmake --build build/fuzz -j $(JOBS) --target fuzz_$(T)
	@mkdir -p build/fuzz/corpus/$(T)
	build/fuzz/fuzz/fuzz_$(T) -max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=2048 \
	    -artifact_prefix=build/fuzz/crash-$(T)- $(if $(wildcard fuzz/$(T).dict),-dict=fuzz/$(T).dict) \
	    build/fuzz/corpus/$(T) $(wildcard fuzz/corpus/$(T))

lint:
	@tools/lint

format:
	@git ls-files '*.c' '*.h' | xargs $(CLANG_FORMAT) -i

docs: build
	@exec tools/gen-docs

install: build
	@DESTDIR="$(DESTDIR)" cmake --install build/release

deb:
	@tools/deps build deb
	@$(MAKE) --no-print-directory build PREFIX=/usr
	@cd build/release && cpack -B .. >/dev/null
	@ls -1 build/*.deb

clean:
	rm -rf build
