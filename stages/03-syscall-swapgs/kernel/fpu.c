/* fpu.c: lets programs use SSE. Called by main.c, and by each CPU of stage 05.
 * SPDX-License-Identifier: MIT */
#include <kernel/fpu.h>
#include <kernel/x86.h>

void fpu_init(void)
{
    write_cr0((read_cr0() & ~(uint64_t)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE); /* NE: x87 errors come as #MF */
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT); /* FXSAVE saves XMM too; SIMD errors come as #XM, not #UD */
}
