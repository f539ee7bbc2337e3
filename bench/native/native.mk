# Builds build/bench/native/native, which measures ways to switch between two stacks in a program of the host.
# Called by tools/measure/native.py. Each way is a file that defines switch_stacks; objcopy puts the file's name before
# that and hides all other names, so that kernel files that define the same can be in one program. It also sees to it
# that each begins a cache line: the plain switch's time depends on where it lies.
# Another source for one of them: stage_04.S=FILE. Without Boost although it is there: boost=
# SPDX-License-Identifier: MIT
OUT ?= build/bench/native
here := bench/native
ways := plain stage_04 stage_05 push_again jump_away equal_status linux_shape linux_shape_rsb redox_shape
stage_04.S ?= $(wildcard stages/04-*/kernel/switch.S)
stage_05.S ?= $(wildcard stages/05-*/kernel/switch.S)
linux_shape_rsb.S ?= $(here)/linux_shape.S
define_linux_shape_rsb := -DFILL_RETURNS
push_again.S := $(here)/other_forms.S
define_push_again := -DPUSH_AGAIN
jump_away.S := $(here)/other_forms.S
define_jump_away := -DJUMP_AWAY
equal_status.S := $(here)/other_forms.S
define_equal_status := -DEQUAL_STATUS
source = $(or $($(1).S),$(here)/$(1).S)

# The kernel's headers as stage 04 sees them: of a header that is there twice, the later one.
reverse = $(if $1,$(call reverse,$(wordlist 2,99,$1)) $(firstword $1))
layers := $(call reverse,$(sort $(wildcard stages/0[0-4]-*)))

# Boost is measured where it is installed; its archive if there is one, so that no table of the linker lies in between.
boost := $(firstword $(wildcard $(foreach kind,a so,$(shell gcc -print-file-name=libboost_context.$(kind)))))
FLAGS := -O2 -g -Wall -Wextra -Wno-missing-field-initializers -Werror -masm=intel -fcf-protection=none \
  -fno-stack-protector $(if $(boost),-DBOOST) $(layers:%=-I%)

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
$(OUT)/native: $(OUT)/native.o $(OUT)/loop.o $(ways:%=$(OUT)/%.o)
	@gcc -Wl,-z,now -o $@ $^ $(boost)

$(OUT): ; @mkdir -p $@

# The flags as they were used: they change when Boost is installed.
$(OUT)/flags: FORCE | $(OUT)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@
FORCE:
common := $(OUT)/flags $(here)/native.mk $(wildcard $(layers:%=%/kernel/asm.h) $(layers:%=%/kernel/x86.h))

$(OUT)/native.o: $(here)/native.c $(here)/native.h $(common)
	@gcc -std=gnu11 $(FLAGS) -c -o $@ $<

$(OUT)/loop.o: $(here)/loop.S $(common)
	@gcc $(FLAGS) -c -o $@ $<

.SECONDEXPANSION:
$(ways:%=$(OUT)/%.o): $(OUT)/%.o: $$(call source,$$*) $(common)
	@gcc $(FLAGS) $(define_$*) -c -o $@.tmp $<
	@objcopy --set-section-alignment .text=64 --redefine-sym switch_stacks=$*_switch_stacks \
	  --keep-global-symbol=$*_switch_stacks $@.tmp $@
	@rm $@.tmp
