# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The front door; the build itself is CMake + Ninja (CMakePresets.json).
#
#   make run      install what is missing, build, start a demo node
#   make check    all tests in their short form; the last line is the verdict
#   make build    build/alknet, build/libalknet.*
#   make bench | soak | lint | docs | install | deb | clean
#   make fuzz T=name [SECONDS=n]
#
# JOBS=n limits parallel compilation. PREFIX, DESTDIR are for install.
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
SECONDS ?= 60
T ?=

.PHONY: all build run check soak bench fuzz lint docs install deb clean
all: build

build:
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(if $(V),,>/dev/null)
	@cmake --build build/release -j $(JOBS)
	@cd build && ln -sfn release/libalknet.a libalknet.a
	@cd build && for f in release/libalknet.so*; do ln -sfn $$f .; done
	@cd build && for f in alknet git-remote-alknet; do \
	    if [ -e release/$$f ]; then ln -sfn release/$$f $$f; fi; done

clean:
	rm -rf build
