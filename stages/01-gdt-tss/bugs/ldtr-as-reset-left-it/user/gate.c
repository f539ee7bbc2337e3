/* gate: enters ring 0 by a call gate of its own making, if LDTR says that descriptors lie at address 0.
 * SPDX-License-Identifier: MIT
 *
 * The selector's bit 2 asks for the LDT. The gate is of a program's ring and leads to the kernel's code segment. */
#include <user/ulib.h>

#define LDT_AT   0x1000
#define SELECTOR (LDT_AT | 4 | 3)

static const struct {
    uint64_t offset;
    uint16_t selector;
} __attribute__((packed)) gate_pointer = {0, SELECTOR};

/* In ring 0, on the stack of tss.rsp0; back by the frame that the gate has pushed. */
__attribute__((naked)) static void in_ring_0(void) { __asm__("mov rax, cr0; retfq"); }

int main(void) {
    enum { READ_WRITE = 3, PRIVATE_FIXED_ANONYMOUS = 0x32 };
    if (system_call(SYS_mmap, LDT_AT, 4096, READ_WRITE, PRIVATE_FIXED_ANONYMOUS, -1, 0) != LDT_AT)
        return 1;
    uint64_t code = (uint64_t)in_ring_0, cr0 = 0;
    /* Source: SDM 3A, "64-bit Mode Call Gates". Present, DPL 3, type 12; 8 is the kernel's code segment. */
    ((uint64_t *)LDT_AT)[0] = (code & 0xffff) | 8 << 16 | 0xecul << 40 | (code >> 16 & 0xffff) << 48;
    ((uint64_t *)LDT_AT)[1] = code >> 32;
    __asm__ volatile("rex.w call fword ptr [%1]" : "=&a"(cr0) : "r"(&gate_pointer) : "memory", "cc");
    printf("gate: I was in ring 0, where I read CR0: 0x%lx\n", cr0);
    return 0;
}
