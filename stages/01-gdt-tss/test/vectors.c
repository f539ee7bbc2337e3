/* vectors.c: every gate leads to its own stub, and the way through the kernel leaves every register as it was.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>
#include <proof/selftest.h>
#include <test/catch.h>

extern const char raise_vector[256][16];
void raise_with_registers(const uint64_t set[16], uint64_t found[16]);

/* For an int the CPU pushes no error code, so the vectors that have one cannot be raised in this way. The kernel itself
 * uses some others: #DB, NMI, #MC, int 0x80, and those of the interrupt controllers. */
static bool can_be_raised(unsigned vector) {
    static const uint8_t others[] = {1,  2,  8,  10,   11,   12,   13,   14,   17,  18,
                                     21, 29, 30, 0x40, 0x41, 0x80, 0xe7, 0xef, 0xff};
    for (unsigned i = 0; i < ARRAY_LENGTH(others); i++)
        if (vector == others[i])
            return false;
    return true;
}

TEST(gates) {
    unsigned raised = 0, right = 0;
    for (unsigned vector = 0; vector < 256; vector++) {
        if (!can_be_raised(vector))
            continue;
        catch_begin(vector);
        ((void (*)(void))raise_vector[vector])();
        catch_end(vector);
        raised++;
        right += caught.count == 1 && caught.frame.vector == vector && !caught.frame.error;
    }
    ok(raised > 200 && right == raised, "each vector arrives as itself, with the error code 0");
}

TEST(registers) {
    uint64_t set[16], found[16];
    for (unsigned i = 0; i < 15; i++)
        set[i] = 0x0123456789abcdef * (i + 3);
    set[15] = RFLAGS_ONE | RFLAGS_STATUS | RFLAGS_DF | RFLAGS_AC | RFLAGS_ID;
    catch_begin(VECTOR_BP);
    raise_with_registers(set, found);
    catch_end(VECTOR_BP);
    const struct trap_frame *f = &caught.frame;
    const uint64_t in_frame[16] = {f->rax, f->rcx, f->rdx, f->rbx, f->rbp, f->rsi, f->rdi, f->r8,
                                   f->r9,  f->r10, f->r11, f->r12, f->r13, f->r14, f->r15, f->rflags};
    /* mutant kernel/trap_frame.h: r8, r9, r10, r11, rbx, rbp, r12 => r9, r8, r10, r11, rbx, rbp, r12 */
    ok(memcmp(in_frame, set, sizeof(set)) == 0, "the frame names each register and RFLAGS rightly");
    ok(memcmp(found, set, sizeof(set)) == 0, "all are as they were when the kernel is left");
    /* mutant kernel/trap_entry.S: STEP(interrupt_entry, 2) cld => STEP(interrupt_entry, 2) */
    ok(!(caught.flags & RFLAGS_DF), "DF is clear in the handler, though an interrupt gate leaves it");
    ok(!(caught.flags & (RFLAGS_IF | RFLAGS_TF | RFLAGS_NT)), "IF, TF and NT are clear there too");
}
