# Builds the kernels and programs of the stages named in STAGE (all when empty), each in its own folder of build/.
# Called by the Makefile and by tools/boot, which hold build/.lock meanwhile: two makes at once would write the
# same files. tools/layer lays the layers first; from then on build/NN/src is an ordinary source tree.
# SPDX-License-Identifier: MIT

ifeq ($(origin CC),default)
CC := gcc
endif
ifneq ($(findstring clang,$(CC)),)
# LLVM's own tools, so that nothing of GNU's compilers is needed: they are there for x86-64 on any host.
LD := $(or $(shell command -v ld.lld),ld)
AR := $(or $(shell command -v llvm-ar),ar)
NM := $(or $(shell command -v llvm-nm),nm)
OBJDUMP := $(or $(shell command -v llvm-objdump),objdump)
CLANG := --target=x86_64-unknown-none-elf -Wno-microsoft-anon-tag
else
LD := ld
AR := ar
NM := nm
OBJDUMP := objdump
endif
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
Q := $(if $(V),,@)

# One short line for each thing made; the whole command with V=1; nothing with make -s.
silent := $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(V)$(silent),,@printf '  %-4s %s\n' $(1) $(subst build/,,$@))

COMMON := -std=gnu11 -ffreestanding -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -fno-pie -masm=intel $(CLANG) \
  -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing
# A tree that is copied after it was built (tools/grading/tree.py): the debugging information names no place.
ifneq ($(wildcard tools/relocatable),)
COMMON += -ffile-prefix-map=$(CURDIR)=.
endif
KERNEL_CFLAGS := $(COMMON) -fms-extensions -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
  -fno-omit-frame-pointer
KERNEL_LDFLAGS := -n -z max-page-size=4096 -z noexecstack --no-undefined --fatal-warnings --build-id=none
USER_CFLAGS := $(COMMON) -mgeneral-regs-only
# A lab's challenge may want more flags for the kernel; stages/*/lab/lab.toml has them.
KERNEL_CFLAGS += $(LAB_CFLAGS)
USER_LDFLAGS := -static -z max-page-size=4096 -z noexecstack --no-undefined --fatal-warnings \
  --build-id=none --undefined=_start

VARIANTS := $(shell $(PYTHON) tools/layer $(STAGE) --compiler '$(CC)' $(if $(BUG),--bug '$(BUG)') \
  $(if $(LAYER),--layers '$(LAYER)') $(if $(TEST),--test))
ifneq ($(.SHELLSTATUS),0)
$(error The layers could not be laid)
endif

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.PHONY: all programs measuring commands
all: $(foreach v,$(VARIANTS),$v/kernel.elf $v/kernel.sym); @:

# Objects lie beside src in folders of the same names (x.c and x.S may both be there). Each depends on the list of
# layers as well, because a link that now points to an older file looks up to date.
object = $(patsubst $(1)/src/%,$(1)/%.o,$(2))
sources = $(sort $(wildcard $(1)/src/$(2)/*.c $(1)/src/$(2)/*.S))
parts = kernel proof $(if $(TEST),test)
objects = $(foreach p,$(parts),$(call object,$(1),$(call sources,$(1),$p)))
# start.S and ulib.c are the programs' library; every other file in user/ is a program.
library = $(filter %/start.S %/ulib.c,$(call sources,$(1),user))
programs = $(patsubst $(1)/src/%,$(1)/%,$(basename $(filter-out $(call library,$(1)),$(call sources,$(1),user))))

define compile
$(1)/$(2)/%.c.o: $(1)/src/$(2)/%.c $(1)/layers tools/build.mk | $(1)/$(2)
	$$(call say,CC)
	$(Q)$(CC) $(3) -I$(1)/src -fmacro-prefix-map=$(1)/src/= -MMD -MP -c -o $$@ $$<
$(1)/$(2)/%.S.o: $(1)/src/$(2)/%.S $(1)/layers tools/build.mk | $(1)/$(2)
	$$(call say,AS)
	$(Q)$(CC) $(3) -I$(1)/src -MMD -MP -c -o $$@ $$<
$(1)/$(2): ; $(Q)mkdir -p $$@
endef

define variant
$(call compile,$(1),kernel,$(KERNEL_CFLAGS))
$(call compile,$(1),proof,$(KERNEL_CFLAGS))
$(call compile,$(1),test,$(KERNEL_CFLAGS))
$(call compile,$(1),user,$(USER_CFLAGS))

$(1)/kernel.elf: $(call objects,$(1)) $(1)/src/kernel/kernel.ld
	$$(call say,LD)
	$(Q)$(LD) $(KERNEL_LDFLAGS) -T $(1)/src/kernel/kernel.ld -o $$@ $(call objects,$(1))
# The symbols in the form that the Bochs debugger and tools/boot read: address, name.
$(1)/kernel.sym: $(1)/kernel.elf
	$(Q)$(NM) -n $$< | awk '$$$$2 ~ /[TtDdBbRr]/ { print $$$$1, $$$$3 }' >$$@
# The machine code with its source between, for a reader; made when asked for.
$(1)/kernel.asm: $(1)/kernel.elf
	$$(call say,ASM)
	$(Q)$(OBJDUMP) -d -S -M intel --no-show-raw-insn $$< >$$@

$(1)/user/library.a: $(call object,$(1),$(call library,$(1)))
	$(Q)rm -f $$@; $(AR) rcs $$@ $$^
$(1)/user/%: $(1)/user/%.c.o $(1)/user/library.a
	$$(call say,LD)
	$(Q)$(LD) $(USER_LDFLAGS) -o $$@ $$^
$(1)/user/%: $(1)/user/%.S.o $(1)/user/library.a
	$$(call say,LD)
	$(Q)$(LD) $(USER_LDFLAGS) -o $$@ $$^
all: $(call programs,$(1))
-include $(wildcard $(1)/kernel/*.d $(1)/proof/*.d $(1)/test/*.d $(1)/user/*.d)
endef
$(foreach v,$(VARIANTS),$(eval $(call variant,$v)))

# What an editor wants to know: how each file is compiled, first as the merged tree names it, then under its own name.
comma := ,
command = {"directory": "$(CURDIR)"$(comma) "file": "$(1)"$(comma) "command": "$(CC) $(2) -c $(1)"}
c_files = $(wildcard $(1)/src/$(2)/*.c $(1)/src/$(2)/*.h $(1)/src/$(2)/*.S)
commands_of = $(foreach f,$(call c_files,$(1),$(2)),$(call command,$f,$(3) -I$(1)/src)@ \
  $(call command,$(patsubst $(CURDIR)/%,%,$(realpath $f)),$(3) -I$(1)/src)@)
all_commands = $(call commands_of,$(1),kernel,$(KERNEL_CFLAGS)) $(call commands_of,$(1),proof,$(KERNEL_CFLAGS)) \
  $(call commands_of,$(1),test,$(KERNEL_CFLAGS)) $(call commands_of,$(1),user,$(USER_CFLAGS))
commands: $(VARIANTS:=/compile_commands.json); @:
%/compile_commands.json: %/layers tools/build.mk
	$(call say,JSON)
	$(file >$@,[)
	$(file >>$@,$(patsubst %@,%,$(subst @ ,$(comma) ,$(strip $(call all_commands,$*)))))
	$(file >>$@,])

# Ordinary static Linux programs for the tests. A first line with the word `freestanding` means no C library.
linux_programs := $(patsubst tests/programs/%,build/programs/%,$(basename $(wildcard tests/programs/*.[cS])))
programs: $(linux_programs); @:
LINUX_CFLAGS := -O2 -g -Wall -Wextra -Werror -masm=intel -static -fno-pie -no-pie -fno-stack-protector \
  -fcf-protection=none -Itests/programs
linux_compiler = $(if $(findstring freestanding,$(shell head -n 1 $<)),gcc -nostdlib -ffreestanding,musl-gcc)
build/programs: ; $(Q)mkdir -p $@
build/programs/%: tests/programs/%.c $(wildcard tests/programs/*.h) tools/build.mk | build/programs
	$(call say,CC)
	$(Q)$(linux_compiler) -std=gnu11 $(LINUX_CFLAGS) -o $@ $<
build/programs/%: tests/programs/%.S $(wildcard tests/programs/*.h) tools/build.mk | build/programs
	$(call say,AS)
	$(Q)gcc -nostdlib $(LINUX_CFLAGS) -o $@ $<

# The programs that measure: of the same kind, and without a C library, so that Linux runs the same files.
measuring_programs := $(patsubst bench/programs/%.c,build/bench/%,$(wildcard bench/programs/*.c))
measuring: $(measuring_programs); @:
build/bench: ; $(Q)mkdir -p $@
build/bench/%: bench/programs/%.c $(wildcard bench/programs/*.h tests/programs/*.h) tools/build.mk | build/bench
	$(call say,CC)
	$(Q)gcc -nostdlib -ffreestanding -std=gnu11 $(LINUX_CFLAGS) -Ibench/programs -o $@ $<
# What starts them on Linux.
build/bench/linux: ; $(Q)mkdir -p $@
build/bench/linux/init: bench/linux/init.c tests/programs/freestanding.h tools/build.mk | build/bench/linux
	$(call say,CC)
	$(Q)gcc -nostdlib -ffreestanding -std=gnu11 $(LINUX_CFLAGS) -o $@ $<
