/* switch_with_flags.S: a switch with flags that C cannot have. Used by flags.c and the self-tests.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

/* uint64_t switch_stacks_with_flags(uint64_t *save_rsp, uint64_t load_rsp, uint64_t flags)
 *
 * In:   as switch_stacks; rdx = flags to set before it, not IF.
 * Out:  as switch_stacks; rax = RFLAGS as they were behind it, RFLAGS as they were at the call. */
FUNCTION(switch_stacks_with_flags)
    pushfq
    pushfq
    or      [rsp], rdx
    popfq
    call    switch_stacks
    pushfq
    pop     rax
    popfq
    ret
