/* idt.c: the gates, read back as the CPU reads them.
 * SPDX-License-Identifier: MIT
 *
 * Source of the layout: SDM 3A, "64-Bit Mode IDT". */
#include <unit/check.h>
#include <kernel/idt.c>

char interrupt_stubs[256][16];

struct decoded {
    uint64_t offset;
    unsigned selector, ist, type, dpl;
    bool present, zero;
};

static struct decoded decode(unsigned vector) {
    uint64_t low, high;
    memcpy(&low, (const char *)idt + 16 * vector, 8);
    memcpy(&high, (const char *)idt + 16 * vector + 8, 8);
    return (struct decoded){
        .offset = (low & 0xffff) | (low >> 48 & 0xffff) << 16 | (high & 0xffffffff) << 32,
        .selector = low >> 16 & 0xffff,
        .ist = low >> 32 & 7,
        .type = low >> 40 & 15,
        .dpl = low >> 45 & 3,
        .present = low >> 47 & 1,
        .zero = !(low >> 35 & 0x1f) && !(low >> 44 & 1) && !(high >> 32),
    };
}

#define INTERRUPT_GATE 14 /* clears IF; a trap gate, 15, does not */

static unsigned wanted_ist(unsigned vector) {
    switch (vector) {
    case 1:
        return IST_DB;
    case 2:
        return IST_NMI;
    case 8:
        return IST_DF;
    case 18:
        return IST_MC;
    default:
        return 0;
    }
}

static void test_gates(void) {
    idt_init();
    for (unsigned vector = 0; vector < 256; vector++) {
        struct decoded gate = decode(vector);
        /* mutant kernel/idt.c: idt[vector][1] = stub >> 32; => */
        /* mutant kernel/idt.c: (stub >> 16 & 0xffff) << 48 => (stub >> 12 & 0xffff) << 48 */
        /* mutant kernel/idt.c: (stub & 0xffff) | => stub | */
        CHECK_EQUAL(gate.offset, interrupt_stubs[vector]);
        CHECK_EQUAL(gate.selector, SEL_KERNEL_CODE);
        /* mutant kernel/idt.c: #define GATE_INTERRUPT (0x8eul => #define GATE_INTERRUPT (0x8ful */
        CHECK_EQUAL(gate.type, INTERRUPT_GATE);
        CHECK(gate.present && gate.zero);
        /* mutant kernel/idt.c: idt[VECTOR_MC][0] |= GATE_IST(IST_MC); => */
        /* mutant kernel/idt.c: idt[VECTOR_DF][0] |= => idt[VECTOR_DF][1] |= */
        /* mutant kernel/idt.c: ((uint64_t)(n) << 32) => ((uint64_t)(n) << 35) */
        CHECK_EQUAL(gate.ist, wanted_ist(vector));
        /* mutant kernel/idt.c: idt_allow_user(VECTOR_BP); => idt_allow_user(VECTOR_DB); */
        CHECK_EQUAL(gate.dpl, vector == 3 ? 3 : 0);
    }
}

static void test_allow_user(void) {
    /* mutant kernel/idt.c: idt[vector][0] |= GATE_RING_3; => idt[vector][0] |= 1ul << 45; */
    idt_allow_user(0x80);
    CHECK_EQUAL(decode(0x80).dpl, 3);
    CHECK_EQUAL(decode(0x80).type, INTERRUPT_GATE);
    CHECK_EQUAL(decode(0x81).dpl, 0);
}

int main(void) {
    CHECK_EQUAL(sizeof(idt), 4096);
    test_gates();
    test_allow_user();
    return 0;
}
