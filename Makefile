# ringstep: what a person asks for. `make help` lists it; the building itself is in tools/build.mk.
# SPDX-License-Identifier: MIT
SHELL := /bin/bash
ifeq ($(origin CC),default)
CC := gcc
endif
# The distribution's Python has the packages that tools/setup installs; another one first on the PATH may not.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
ifneq ($(STAGE),)
override STAGE := $(notdir $(patsubst %/,%,$(STAGE)))
endif
export CC PYTHON
last := $(lastword $(sort $(notdir $(wildcard stages/[0-9][0-9]-*))))

TESTS ?= tests
knobs = STAGE='$(STAGE)' BUG='$(BUG)' LAYER='$(LAYER)' TEST='$(TEST)' CC='$(CC)' V='$(V)'
jobs = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
# One build at a time: two would write the same files.
build = +$(setup) build $(notdir $(CC)) && mkdir -p build && \
  flock build/.lock $(MAKE) --no-print-directory $(jobs) -f tools/build.mk $(knobs)
setup = @tools/setup
layer = @$(PYTHON) tools/layer $(or $(STAGE),$(if $(BUG),,$(last))) $(if $(BUG),--bug '$(BUG)') $(if $(LAYER),--layers '$(LAYER)')
boot = @$(PYTHON) tools/boot $(if $(STAGE),--stage $(STAGE)) $(if $(BUG),--bug '$(BUG)') \
  $(foreach dir,$(subst :, ,$(LAYER)),--layer '$(dir)') $(if $(MEMORY),--memory $(MEMORY)) \
  $(if $(CPU),--cpu-model '$(CPU)') $(if $(PROGRAMS),--programs '$(PROGRAMS)') $(if $(APPEND),--append '$(APPEND)') \
  $(if $(TIMEOUT),--timeout $(TIMEOUT)) $(if $(SCREEN),--screen '$(SCREEN)')
# With BUG=name it is shown: what to look for, its own scenario, what happened.
bug = @$(PYTHON) tools/bugs '$(BUG)' --run $(if $(STAGE),--stage $(STAGE)) $(if $(CPUS),--cpus $(CPUS)) \
  $(foreach dir,$(subst :, ,$(LAYER)),--layer '$(dir)') $(if $(MEMORY),--memory $(MEMORY)) \
  $(if $(CPU),--cpu-model '$(CPU)') $(if $(PROGRAMS),--programs '$(PROGRAMS)') $(if $(APPEND),--append '$(APPEND)') \
  $(if $(TIMEOUT),--timeout $(TIMEOUT)) $(if $(SOUND),--sound)
stepping = $(if $(STAGE),--stage $(STAGE)) $(if $(WALK),--walk '$(WALK)') $(if $(CPUS),--cpus $(CPUS)) \
  $(if $(BUG),--bug '$(BUG)') $(foreach dir,$(subst :, ,$(LAYER)),--layer '$(dir)') \
  $(if $(MEMORY),--memory $(MEMORY)) $(if $(PROGRAMS),--programs '$(PROGRAMS)') $(if $(APPEND),--append '$(APPEND)')

.PHONY: all help run bochs bugs step gdb trace editor doctor bench soak sweep ablate grade test check models fuzz \
  programs iso tree diff loc lesson handout course-bundle format format-check clean compile_commands.json

all:
	$(build) all

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

#: make                 build every stage (STAGE=03 builds that one)
#: make run             boot a stage in QEMU; the terminal is its serial console (Ctrl-A, then X quits)
#: make bochs           boot it in Bochs
#: make step            step through it in the Bochs debugger (WALK=name, or none)
#: make gdb             step through it in GDB, on QEMU (WALK=name, or none)
#: make trace           record a walk, instruction by instruction, in build/NN/traces/ (WALK=name, TRACE=file)
#: make bugs            the bugs that can be switched on; make run BUG=name shows one (SOUND=1: the kernel without it)
#: make ablate          take away each instruction that must earn its place, and see what notices (tools/ablate --help)
#: make test            run all tests (TESTS=tests/boot runs some, QUICK=1 the core alone, JOBS=4 so many at once)
#: make fuzz            feed the kernel's parsers with made-up bytes, on this machine (FUZZ="elf acpi", SECONDS=60 each)
#: make check           check the entry code without running it (STAGE=05 checks that one)
#: make models          check the models of what several CPUs do at once (tools/model --help)
#: make soak            run it for long under load, and check everything (MINUTES=10, SEED=1; tools/soak --help)
#: make bench           measure what it costs, beside Linux (BENCH="calls startup": some groups; tools/bench --help)
#: make sweep           strike the kernel at every instruction of its entries (SWEEP="nmis": some; tools/sweep --help)
#: make grade LAB=03    grade your kernel as a lab's grader does (SUBMISSION=dir or zip, FORMAT=json; tools/grade --help)
#: make editor          boot it in QEMU for an editor's debugger, which is waited for (.vscode/launch.json)
#: make doctor          whether this machine has what all that needs, and what would install the rest
#: make iso             build/ringstep.iso, with a menu of all stages
#: make tree            which file of the kernel comes from which stage
#: make diff            what a stage changes in the one below (BUG=name: what the bug changes)
#: make loc             lines of code, and whether they keep the limits
#: make lesson          write excerpts, tables and outputs into the texts (tools/lesson --help)
#: make handout         what the students of a lab get, in a folder of its own (LAB=03 DIR=somewhere)
#: make course-bundle   hand-outs, answers, autograders for Gradescope and Classroom 50 (LAB=03 DIR=there)
#: make programs        the Linux programs of tests/programs
#: make compile_commands.json    for editors; in build/NN/ for each stage, and at the top for STAGE
#: make build/03/kernel.asm      the machine code with its source between
#: make format          format the C files (format-check only looks)
#: make clean           remove build/
#:
#: STAGE=03        the stage (make: all; elsewhere: the last)    CPUS=4         CPUs, from stage 05 on (run: 4, bochs: 2)
#: BUG=name        with that bug (run, bochs, step, diff, ...)   MEMORY=128     MiB
#: LAYER=dir:dir   with these folders on top                     CPU=qemu64     CPU model
#: PROGRAMS='hello one; count copies=3 5'   instead of the stage's own list
#: APPEND='selftest'   words for the kernel's command line       TIMEOUT=60     seconds
#: CC=clang        the compiler                                  V=1            show the commands
#: SCREEN=x        show the VGA screen (bochs, step)

run:
	$(setup) build $(notdir $(CC)) run $(if $(BUG),step)
	$(if $(BUG),$(bug),$(boot) --interactive --cpus $(or $(CPUS),4))

bochs:
	$(setup) build $(notdir $(CC)) bochs $(if $(BUG),step)
	$(if $(BUG),$(bug) --emulator bochs,$(boot) --emulator bochs --cpus $(or $(CPUS),2))

bugs:
	$(setup) step
	@$(PYTHON) tools/bugs $(if $(BUG),'$(BUG)')

step:
	$(setup) build $(notdir $(CC)) bochs step
	@$(PYTHON) tools/step $(stepping) $(if $(SCREEN),--screen '$(SCREEN)')

gdb:
	$(setup) build $(notdir $(CC)) run step gdb
	@$(PYTHON) tools/gdb $(stepping)

# For .vscode/launch.json, which can name the stage only once: the kernel has the same name whatever the stage is.
editor:
	$(setup) build $(notdir $(CC)) run editor
	@mkdir -p build/editor
	@ln -sfn "../../$$($(PYTHON) tools/layer $(or $(STAGE),$(last)) --compiler '$(CC)' $(if $(BUG),--bug '$(BUG)') \
	  $(if $(LAYER),--layers '$(LAYER)'))/kernel.elf" build/editor/kernel.elf
	$(boot) --cpus $(or $(CPUS),1) --gdb build/editor/socket

doctor:
	$(setup) --check doctor
	@$(PYTHON) tools/doctor

trace:
	$(setup) build $(notdir $(CC)) bochs step trace
	@$(PYTHON) tools/trace $(if $(STAGE),--stage $(STAGE)) $(if $(WALK),--walk '$(WALK)') $(if $(TRACE),-o '$(TRACE)') \
	  $(if $(BUG),--bug '$(BUG)') $(foreach dir,$(subst :, ,$(LAYER)),--layer '$(dir)')

check:
	$(setup) build $(notdir $(CC)) check
	@$(PYTHON) tools/check-entry $(if $(STAGE),--stage $(STAGE)) $(if $(BUG),--bug '$(BUG)') \
	  $(foreach dir,$(subst :, ,$(LAYER)),--layer '$(dir)')

models:
	$(setup) models
	@$(PYTHON) tools/model

bench:
	$(setup) build run bochs bench
	@$(PYTHON) tools/bench $(BENCH)

sweep:
	$(setup) build $(notdir $(CC)) run bochs step sweep
	@$(PYTHON) tools/sweep $(SWEEP) $(foreach dir,$(subst :, ,$(LAYER)),--layer '$(dir)')

soak:
	$(setup) build run programs
	@$(PYTHON) tools/soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(CPUS),--cpus $(CPUS)) $(foreach dir,$(subst :, ,$(LAYER)),--layer '$(dir)')

ablate:
	$(setup) build $(notdir $(CC)) run bochs ablate
	@$(PYTHON) tools/ablate --jobs $(or $(JOBS),2)

# Without SUBMISSION it is the stage of this tree.
grade:
	$(setup) build gcc run bochs step grade
	@$(if $(LAB),,echo "make grade wants LAB=NN" >&2; exit 2;) $(PYTHON) tools/grade $(LAB) \
	  "$(or $(SUBMISSION),$(firstword $(wildcard stages/$(LAB)-* stages/0$(LAB)-*) stages))" \
	  $(if $(FORMAT),--format '$(FORMAT)') $(if $(SEED),--seed '$(SEED)') $(if $(SANDBOX),--sandbox '$(SANDBOX)')

test:
	$(setup) build gcc $(notdir $(CC)) run test
	@$(PYTHON) -m pytest -n $(or $(JOBS),2) $(if $(QUICK),-m 'not heavy') $(TESTS)

fuzz:
	$(setup) fuzz
	@$(PYTHON) tools/fuzz $(FUZZ) $(if $(filter file,$(origin SECONDS))$(filter undefined,$(origin SECONDS)),,--seconds $(SECONDS))

programs:
	$(setup) programs
	$(build) programs

iso: all
	$(setup) run
	@$(PYTHON) tools/course-iso build/ringstep.iso

tree:
	$(layer) --tree

diff:
	$(layer) --diff

loc:
	$(setup) loc
	@$(PYTHON) tools/loc

lesson:
	$(setup) build $(notdir $(CC)) loc step
	@$(PYTHON) tools/lesson

handout:
	$(setup) build step
	@$(PYTHON) tools/handout $(LAB) $(if $(DIR),'$(DIR)')

course-bundle:
	$(setup) build step
	@$(PYTHON) tools/course-bundle '$(or $(DIR),build/course-bundle)' $(LAB)

# Each stage's own names its files as build/NN/src does; open that folder as the editor's root. The one at the top
# names the files of stages/, as one stage sees them.
compile_commands.json:
	$(build) commands
	@cp "$$($(PYTHON) tools/layer $(or $(STAGE),$(last)) --compiler '$(CC)')/compile_commands.json" $@

build/%: FORCE
	$(build) $@
FORCE:

# Headers that are read by assembly and hold its macros are no C to clang-format.
formatted = $(shell grep -LE '^\.[a-z]' stages/*/{kernel,user,proof,test}/*.[ch] stages/*/bugs/*/*/*.[ch] \
  tests/programs/*.[ch] tests/*/layers/*/*/*.[ch] bench/programs/*.[ch] bench/layers/*/*/*.[ch] 2>/dev/null)
format:
	$(setup) format
	@clang-format -i $(formatted)

format-check:
	$(setup) format
	@clang-format --dry-run --Werror $(formatted)

clean:
	@rm -rf build compile_commands.json
