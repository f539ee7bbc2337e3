/* syscall_init.c: what is written to the registers that SYSCALL and SYSRET use.
 * SPDX-License-Identifier: MIT */
#include <unit/check.h>
#include <kernel/syscall_init.c>

char syscall_entry[1], syscall32_entry[1];

static struct {
    uint32_t msr;
    uint64_t value;
} written[16];
static unsigned count;

void fake_wrmsr(uint32_t msr, uint64_t value) {
    CHECK(count < sizeof(written) / sizeof(written[0]));
    written[count].msr = msr;
    written[count++].value = value;
}

uint64_t fake_rdmsr(uint32_t msr) {
    CHECK_EQUAL(msr, MSR_EFER);
    return EFER_LME | EFER_NXE | 1 << 10;
}

static uint64_t value_of(uint32_t msr) {
    for (unsigned i = 0; i < count; i++)
        if (written[i].msr == msr)
            return written[i].value;
    CHECK(!"this register is written");
    return 0;
}

static void test_registers(void) {
    syscall_init();
    uint64_t star = value_of(0xc0000081);
    /* As the CPU computes them. Sources: SDM 2B, "SYSCALL" and "SYSRET"; APM 3, the same. */
    uint16_t syscall_cs = star >> 32 & 0xffff, sysret = (uint16_t)(star >> 48);
    CHECK_EQUAL(syscall_cs, SEL_KERNEL_CODE);
    CHECK_EQUAL(syscall_cs & 3, 0);
    CHECK_EQUAL(syscall_cs + 8, SEL_KERNEL_DATA);
    /* AMD's SYSRET takes the ring bits as they are. */
    /* mutant kernel/syscall_init.c: STAR_USER << 48 => (STAR_USER & ~3ul) << 48 */
    CHECK_EQUAL(sysret + 16, SEL_USER_CODE);
    CHECK_EQUAL(sysret + 8, SEL_USER_DATA);
    CHECK_EQUAL((uint32_t)star, 0);
    CHECK_EQUAL(value_of(0xc0000082), syscall_entry);
    /* mutant kernel/syscall_init.c: wrmsr(MSR_CSTAR, (uint64_t)syscall32_entry); => wrmsr(MSR_CSTAR, 0); */
    CHECK_EQUAL(value_of(0xc0000083), syscall32_entry);
    /* mutant kernel/syscall_init.c: wrmsr(MSR_SFMASK, SFMASK); =>
       wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF); */
    CHECK_EQUAL(value_of(0xc0000084), 0x257fd5);
    CHECK_EQUAL(value_of(0x174), 0);
    CHECK_EQUAL(value_of(0xc0000080), EFER_SCE | EFER_LME | EFER_NXE | 1 << 10);
}

/* RFLAGS by the manual's bit numbers, and what ring 3 can set of them: all that POPF can change there.
 * Source: SDM 1, "EFLAGS Register". */
static void test_flags(void) {
    static const struct {
        uint64_t flag;
        unsigned bit;
        bool user;
    } flags[] = {{RFLAGS_TF, 8, true},   {RFLAGS_IF, 9, false}, {RFLAGS_DF, 10, true}, {RFLAGS_NT, 14, true},
                 {RFLAGS_RF, 16, false}, {RFLAGS_AC, 18, true}, {RFLAGS_ID, 21, true}};
    static const unsigned status[] = {0, 2, 4, 6, 7, 11}; /* CF, PF, AF, ZF, SF, OF */
    uint64_t user = 0, clearable = RFLAGS_IOPL;
    for (unsigned i = 0; i < sizeof(status) / sizeof(status[0]); i++)
        user |= 1ul << status[i];
    /* mutant kernel/x86.h: #define RFLAGS_STATUS 0x8d5 => #define RFLAGS_STATUS 0x108d5 */
    CHECK_EQUAL(RFLAGS_STATUS, user);
    clearable |= user;
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        CHECK_EQUAL(flags[i].flag, 1ul << flags[i].bit);
        user |= flags[i].user ? flags[i].flag : 0;
        clearable |= flags[i].flag;
    }
    CHECK_EQUAL(RFLAGS_IOPL, 3 << 12);
    /* mutant kernel/x86.h: #define RFLAGS_USER => #define RFLAGS_USER RFLAGS_IOPL | */
    CHECK_EQUAL(RFLAGS_USER, user);
    CHECK_EQUAL(SFMASK, clearable);
}

int main(void) {
    test_registers();
    test_flags();
    return 0;
}
