/* user_copy.S: the copy that may fault. Called by user_copy.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/smap.h>

/* size_t user_copy_bytes(void *to, const void *from, size_t size)
 *
 * Returns how many bytes could not be copied. One of the addresses is a program's; a #PF on it resumes at step 2, with
 * the bytes that are left in rcx (user_copy.c).
 * In:   ring 0, DF=0, AC=0.     Out: AC=0. */
FUNCTION(user_copy_bytes)
                          mov     rcx, rdx
                          STAC                                /* SMAP off, for this one instruction */
STEP(user_copy_bytes, 1)  rep movsb
STEP(user_copy_bytes, 2)  CLAC
                          mov     rax, rcx
                          ret
