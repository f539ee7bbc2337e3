/* asserts.c: numbers that hardware, assembly and C have to agree on, and that no run in an emulator would find wrong,
 * or only by a crash far away. Compiled, never run, against the sources of the last stage (test_asserts.py), and
 * against each mutant that is named here, where it must not compile.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.c>
#include <kernel/idt.c>
#include <kernel/pcr.h>
#include <kernel/smp.h>
#include <kernel/syscall_init.c>

#define SAME(a, b)           _Static_assert((a) == (b), #a " == " #b)
#define HOLDS(condition)     _Static_assert(condition, #condition)
#define AT(type, member, at) SAME(offsetof(struct type, member), at)

/* SYSCALL and SYSRET: SDM 2B. AMD's CPUs take STAR's ring for SS as it stands; both emulators put 3 there. */
SAME(STAR_USER & 3, 3);
SAME(STAR_KERNEL & 3, 0);
/* mutant kernel/syscall_init.c: (SEL_USER_CODE32 | 3ul) => (SEL_USER_CODE32 + 0ul) */
SAME(STAR_USER + 8, SEL_USER_DATA);
SAME(STAR_USER + 16, SEL_USER_CODE);
/* mutant kernel/gdt.h: SEL_KERNEL_DATA 0x10 => SEL_KERNEL_DATA 0x18 */
SAME(SEL_KERNEL_CODE + 8, SEL_KERNEL_DATA);
/* mutant kernel/gdt.h: SEL_USER_DATA   0x23 => SEL_USER_DATA 0x20 */
SAME(SEL_USER_DATA & 7, 3);
SAME(SEL_USER_CODE & 7, 3);
/* mutant kernel/gdt.h: #define GDT_ENTRIES 8 => #define GDT_ENTRIES 7 */
HOLDS(SEL_TSS / 8 + 2 <= GDT_ENTRIES);
HOLDS(SEL_TSS % 8 == 0);
/* mutant kernel/syscall_init.c: (RFLAGS_USER | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_RF) => (RFLAGS_USER | RFLAGS_IOPL) */
HOLDS((SFMASK & (RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC)) ==
      (RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC));
/* mutant kernel/x86.h: RFLAGS_NT | RFLAGS_AC | RFLAGS_ID) => RFLAGS_NT | RFLAGS_AC | RFLAGS_ID | RFLAGS_IOPL) */
SAME((RFLAGS_IF | RFLAGS_IOPL | RFLAGS_RF | 1 << 17) & RFLAGS_USER, 0);
HOLDS(RFLAGS_STATUS == 0x8d5);

/* Descriptors: present, code with L and without D, data writable, all of ring 0. SDM 3A, "Segment Descriptors". */
/* mutant kernel/x86.h: GDT_CODE64 0x00af9b000000ffff => GDT_CODE64 0x00cf9b000000ffff */
SAME(GDT_CODE64 >> 40 & 0xff, 0x9b);
SAME(GDT_CODE64 >> 53 & 3, 1);
/* mutant kernel/x86.h: GDT_DATA32 0x00cf93000000ffff => GDT_DATA32 0x00cf91000000ffff */
SAME(GDT_DATA32 >> 40 & 0xff, 0x93);
/* mutant kernel/gdt.c: #define GDT_RING_3    (3ul << 45) => #define GDT_RING_3 (3ul << 46) */
SAME((GDT_CODE64 | GDT_RING_3) >> 40 & 0xff, 0xfb);
/* mutant kernel/gdt.c: 0x89ul => 0x83ul */
SAME(TSS_AVAILABLE, 0x89);
/* mutant kernel/idt.c: (0x8eul << 40) => (0x8ful << 40) */
SAME(GATE_INTERRUPT >> 40, 0x8e); /* no trap gate: it would leave IF as it is */
SAME(GATE_RING_3 >> 40, 0x60);

/* The TSS: SDM 3A, "Task Management in 64-bit Mode". */
/* mutant kernel/gdt.h: uint64_t reserved2; uint16_t reserved3; => uint16_t reserved3; uint64_t reserved2; */
AT(tss, rsp0, 4);
AT(tss, ist, 36);
AT(tss, reserved3, 100);
AT(tss, iomap_base, 102);
/* mutant kernel/gdt.h: IST_DB = 3, => IST_DB = 2, */
HOLDS(IST_DF != IST_NMI && IST_DF != IST_DB && IST_DF != IST_MC && IST_NMI != IST_DB && IST_NMI != IST_MC &&
      IST_DB != IST_MC && IST_DF && IST_NMI && IST_DB && IST_MC);
/* mutant kernel/gdt.h: IST_COUNT = 4 => IST_COUNT = 3 */
HOLDS(IST_DF <= IST_COUNT && IST_NMI <= IST_COUNT && IST_DB <= IST_COUNT && IST_MC <= IST_COUNT && IST_COUNT <= 7);

/* What LGDT and LIDT load: ten bytes without a gap. */
/* mutant kernel/x86.h: uint64_t base; } __attribute__((packed)); => uint64_t base; }; */
SAME(sizeof(struct table_pointer), 10);
AT(table_pointer, base, 2);

/* The trap frame, as PUSH_REGISTERS and the CPU push it. */
/* mutant kernel/trap_frame.h: rcx, rdx, rsi, rdi; uint64_t vector => rcx, rdx, rdi, rsi; uint64_t vector */
/* mutant kernel/trap_frame.h: uint64_t r15, r14, => uint64_t r14, r15, */
AT(trap_frame, r15, 0);
AT(trap_frame, r14, 8);
AT(trap_frame, r13, 16);
AT(trap_frame, r12, 24);
AT(trap_frame, rbp, 32);
AT(trap_frame, rbx, 40);
AT(trap_frame, r11, 48);
AT(trap_frame, r10, 56);
AT(trap_frame, r9, 64);
AT(trap_frame, r8, 72);
AT(trap_frame, rax, 80);
AT(trap_frame, rcx, 88);
AT(trap_frame, rdx, 96);
AT(trap_frame, rsi, 104);
AT(trap_frame, rdi, 112);
AT(trap_frame, vector, FRAME_VECTOR);
AT(trap_frame, error, FRAME_VECTOR + 8);
/* mutant kernel/trap_frame.h: uint64_t rip, cs, rflags, rsp, ss; => uint64_t rip, cs, rsp, rflags, ss; */
AT(trap_frame, rip, FRAME_RIP);
AT(trap_frame, cs, FRAME_CS);
AT(trap_frame, rflags, FRAME_RFLAGS);
AT(trap_frame, rsp, FRAME_RSP);
AT(trap_frame, ss, FRAME_SS);
/* mutant kernel/trap_frame.h: VECTOR_SYSCALL 256 => VECTOR_SYSCALL 255 */
HOLDS(VECTOR_SYSCALL > 255);

/* The PCR: what assembly reads of it, and that its GDT is aligned. */
/* mutant kernel/pcr.h: uint64_t gdt[GDT_ENTRIES]; => uint32_t front; uint64_t gdt[GDT_ENTRIES]; */
AT(pcr, self, 0);
AT(pcr, user_rsp, PCR_USER_RSP);
AT(pcr, tss.rsp0, PCR_TSS_RSP0);
HOLDS(offsetof(struct pcr, gdt) % 8 == 0);
/* mutant kernel/smp.h: #define PCR_NEXT 200 => #define PCR_NEXT 192 */
AT(pcr, next, PCR_NEXT);

/* FXSAVE: SDM 1, "FXSAVE Area". Where it is kept must be 16-byte aligned: a task is one page. */
/* mutant kernel/user_state.h: uint8_t registers[484]; => uint8_t registers[480]; uint8_t more[100]; */
SAME(sizeof(struct fpu_state), 512);
/* mutant kernel/user_state.h: uint8_t x87[22]; => uint8_t x87[26]; */
AT(fpu_state, mxcsr, 24);
/* mutant kernel/user_state.h: } __attribute__((aligned(16))); => } __attribute__((packed)); */
HOLDS(_Alignof(struct fpu_state) == 16);
HOLDS(offsetof(struct task, user.fpu) % 16 == 0);

/* A start-up IPI names a page below 1 MiB by its number in a byte. */
/* mutant kernel/smp.h: #define AP_PAGE 0x8000 => #define AP_PAGE 0x8800 */
HOLDS(AP_PAGE % PAGE_SIZE == 0 && AP_PAGE / PAGE_SIZE <= 0xff);

/* The local APIC: vectors below 32 are the CPU's own; older ones want the spurious vector to end in 1111b. */
/* mutant kernel/lapic.h: #define VECTOR_SPURIOUS 0xff => #define VECTOR_SPURIOUS 0xf0 */
SAME(VECTOR_SPURIOUS & 15, 15);
/* mutant kernel/lapic.h: #define VECTOR_TIMER    0x40 => #define VECTOR_TIMER 0x10 */
HOLDS(VECTOR_TIMER >= 32 && VECTOR_RESCHEDULE >= 32 && VECTOR_TIMER != VECTOR_RESCHEDULE);
/* mutant kernel/smp.h: ICR_INIT = 0x4500 => ICR_INIT = 0x0500 */
HOLDS(ICR_FIXED == 0x4000 && ICR_NMI == 0x4400 && ICR_INIT == 0x4500 && ICR_STARTUP == 0x4600);

/* No user address has the top bit, none of the kernel's lacks it. */
/* mutant kernel/memory.h: #define USER_TOP    0x0000800000000000 => #define USER_TOP 0x0001000000000000 */
SAME(USER_TOP, 1ul << 47);
HOLDS(DIRECT_BASE >> 47 == 0x1ffff && STACK_BASE >> 47 == 0x1ffff && KERNEL_BASE >> 47 == 0x1ffff);
/* mutant kernel/memory.h: #define STACK_SLOT_SIZE   (4 * PAGE_SIZE) => #define STACK_SLOT_SIZE (3 * PAGE_SIZE) */
HOLDS(STACK_SLOT_SIZE >= KERNEL_STACK_SIZE + PAGE_SIZE);
