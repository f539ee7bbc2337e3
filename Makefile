# ringstep: what a person asks for. `make help` lists it. The building itself is in tools/build.mk.
# SPDX-License-Identifier: MIT
SHELL := /bin/bash
build = @mkdir -p build; flock build/.lock $(MAKE) -f tools/build.mk --no-print-directory \
  $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all
all:
	$(build) all
