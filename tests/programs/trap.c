/* freestanding: executes one instruction that ring 3 may not, or one that faults.
 * trap NAME [FLAGS [RSP]]: with these bits added to rflags and on this stack, both hexadecimal.
 * trap int N|pid: the instruction `int N`. A program that comes through alive exits with SURVIVED.
 * The exit statuses are compared by tests/differential/test_traps.py. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

#define SURVIVED "99"

/* The address of a kernel, and the first that is not canonical. */
#define KERNEL "0xffffffff80000000"
#define HOLE   "0x800000000000"

/* clang-format off */
#define TRAPS(DO)                                                                                              \
    DO(nothing, "nop")                                                                                         \
    DO(de, "xor edx, edx; xor ecx, ecx; div ecx")                                                              \
    DO(de_overflow, "mov edx, 2; xor eax, eax; mov ecx, 1; div ecx")                                           \
    DO(bp, "int3")                                                                                             \
    DO(icebp, ".byte 0xf1")                                                                                    \
    DO(ud, "ud2")                                                                                              \
    DO(lock_nop, ".byte 0xf0, 0x90")                                                                           \
    DO(pf_null_read, "xor eax, eax; mov rax, [rax]")                                                           \
    DO(pf_null_write, "xor eax, eax; mov [rax], rax")                                                          \
    DO(pf_null_call, "xor eax, eax; jmp rax")                                                                  \
    DO(pf_kernel_read, "mov rax, " KERNEL "; mov rax, [rax]")                                                  \
    DO(pf_kernel_write, "mov rax, " KERNEL "; mov [rax], rax")                                                 \
    DO(pf_kernel_call, "mov rax, " KERNEL "; jmp rax")                                                         \
    DO(pf_text_write, "lea rax, [rip + _start]; mov [rax], al")                                                \
    DO(pf_data_call, "lea rax, [rip + data]; jmp rax")                                                         \
    DO(pf_stack_call, "mov rax, rsp; jmp rax")                                                                 \
    DO(gp_hole_read, "mov rax, " HOLE "; mov rax, [rax]")                                                      \
    DO(gp_hole_call, "mov rax, " HOLE "; jmp rax")                                                             \
    DO(ss_hole_read, "mov rbp, " HOLE "; mov rax, [rbp]")                                                      \
    DO(ac_read, "pushfq; or dword ptr [rsp], 0x40000; popfq; mov eax, [rsp + 1]")                              \
    DO(mf, "push 0x340; fldcw [rsp]; fldz; fldz; fdivp; fwait")                                                \
    DO(xm, "push 0x1d00; ldmxcsr [rsp]; xorps xmm0, xmm0; divss xmm0, xmm0")                                   \
    DO(cli, "cli")                                                                                             \
    DO(sti, "sti")                                                                                             \
    DO(hlt, "hlt")                                                                                             \
    DO(lgdt, "lgdt [rsp]")                                                                                     \
    DO(lidt, "lidt [rsp]")                                                                                     \
    DO(lldt, "xor eax, eax; lldt ax")                                                                          \
    DO(ltr, "mov eax, 0x30; ltr ax")                                                                           \
    DO(rdmsr, "mov ecx, 0xc0000101; rdmsr")                                                                    \
    DO(wrmsr, "mov ecx, 0xc0000101; xor eax, eax; xor edx, edx; wrmsr")                                        \
    DO(mov_from_cr0, "mov rax, cr0")                                                                           \
    DO(mov_to_cr0, "xor eax, eax; mov cr0, rax")                                                               \
    DO(mov_to_cr3, "xor eax, eax; mov cr3, rax")                                                               \
    DO(mov_to_cr4, "xor eax, eax; mov cr4, rax")                                                               \
    DO(mov_to_cr8, "xor eax, eax; mov cr8, rax")                                                               \
    DO(mov_to_dr7, "xor eax, eax; mov dr7, rax")                                                               \
    DO(clts, "clts")                                                                                           \
    DO(lmsw, "xor eax, eax; lmsw ax")                                                                          \
    DO(swapgs, "swapgs")                                                                                       \
    DO(sysretq, "sysretq")                                                                                     \
    DO(invlpg, "invlpg [rsp]")                                                                                 \
    DO(invd, "invd")                                                                                           \
    DO(wbinvd, "wbinvd")                                                                                       \
    DO(rdpmc, "xor ecx, ecx; rdpmc")                                                                           \
    DO(in_keyboard, "in al, 0x60")                                                                             \
    DO(in_timer, "in al, 0x40")                                                                                \
    DO(in_serial, "mov edx, 0x3f8; in al, dx")                                                                 \
    DO(in_last, "mov edx, 0xffff; in al, dx")                                                                  \
    DO(out_zero, "out 0, al")                                                                                  \
    DO(out_pci, "mov edx, 0xcf8; out dx, eax")                                                                 \
    DO(outs, "mov edx, 0x80; lea rsi, [rip + data]; outsb")                                                    \
    DO(ds_kernel, "mov eax, 0x10; mov ds, eax")                                                                \
    DO(ss_null, "xor eax, eax; mov ss, eax")                                                                   \
    DO(ds_beyond, "mov eax, 0xfffb; mov ds, eax")                                                              \
    DO(iretq_ring0, "push 0; push rsp; push 2; push 8; push 0; iretq")                                         \
    DO(lretq_ring0, "push 8; lea rax, [rip + survived]; push rax; retfq")                                      \
    DO(lretq_1b, "push 0x1b; lea rax, [rip + survived]; push rax; retfq")                                      \
    DO(lretq_23, "push 0x23; lea rax, [rip + survived]; push rax; retfq")                                      \
    DO(lretq_tss, "push 0x43; lea rax, [rip + survived]; push rax; retfq")                                     \
    DO(monitor, "mov rax, rsp; xor ecx, ecx; xor edx, edx; monitor rax, ecx, edx")                             \
    DO(sysenter, "sysenter")                                                                                   \
    DO(rdgsbase, "rdgsbase rax")                                                                               \
    DO(wrgsbase, "xor eax, eax; wrgsbase rax")                                                                 \
    DO(xgetbv, "xor ecx, ecx; xgetbv")                                                                         \
    DO(sgdt, "sgdt [rsp - 16]")                                                                                \
    DO(sidt, "sidt [rsp - 16]")                                                                                \
    DO(smsw, "smsw eax")                                                                                       \
    DO(str, "str eax")                                                                                         \
    DO(push_hole, "mov rsp, 0x800000001000; push rax")                                                         \
    DO(pop_hole, "mov rsp, " HOLE "; pop rax")                                                                 \
    DO(ud0, ".byte 0x0f, 0xff, 0xc0")                                                                          \
    DO(ud1, ".byte 0x0f, 0xb9, 0xc0")                                                                          \
    DO(into, ".byte 0xce")                                                                                     \
    DO(push_cs, ".byte 0x0e")                                                                                  \
    DO(far_jump, ".byte 0xea, 0, 0, 0, 0, 0, 0")                                                               \
    DO(f00f, ".byte 0xf0, 0x0f, 0xc7, 0xc8")                                                                   \
    DO(rsm, "rsm")                                                                                             \
    DO(clac, "clac")                                                                                           \
    DO(stac, "stac")                                                                                           \
    DO(mwait, "xor eax, eax; xor ecx, ecx; mwait eax, ecx")                                                    \
    DO(vmcall, "vmcall")                                                                                       \
    DO(vmmcall, "vmmcall")                                                                                     \
    DO(vmxon, "vmxon [rsp]")                                                                                   \
    DO(xsetbv, "xor ecx, ecx; xor edx, edx; mov eax, 1; xsetbv")                                               \
    DO(vzeroupper, "vzeroupper")                                                                               \
    DO(mov_from_cr2, "mov rax, cr2")                                                                           \
    DO(mov_from_cr3, "mov rax, cr3")                                                                           \
    DO(mov_from_cr4, "mov rax, cr4")                                                                           \
    DO(mov_from_cr8, "mov rax, cr8")                                                                           \
    DO(mov_from_dr0, "mov rax, dr0")                                                                           \
    DO(mov_to_dr0, "xor eax, eax; mov dr0, rax")                                                               \
    DO(sysretl, ".byte 0x0f, 0x07")                                                                            \
    DO(sysexit, ".byte 0x0f, 0x35")                                                                            \
    DO(wbnoinvd, ".byte 0xf3, 0x0f, 0x09")                                                                     \
    DO(in_status, "in al, 0x64")                                                                               \
    DO(in_cmos, "in eax, 0x71")                                                                                \
    DO(ins, "mov edx, 0x60; lea rdi, [rip + data]; insb")                                                      \
    DO(out_pic, "out 0x20, al")                                                                                \
    DO(popfq_iopl, "pushfq; or dword ptr [rsp], 0x3000; popfq; cli")                                           \
    DO(popfq_if, "pushfq; and dword ptr [rsp], 0xfffffdff; popfq; "                                            \
       "pushfq; test dword ptr [rsp], 0x200; jnz survived; ud2")                                               \
    DO(iretq_iopl, "mov eax, ss; push rax; lea rcx, [rsp + 8]; push rcx; push 0x3202; "                        \
       "mov eax, cs; push rax; lea rax, [rip + 1f]; push rax; iretq; 1: cli")                                  \
    DO(ldmxcsr_reserved, "push 0x10000; ldmxcsr [rsp]")                                                        \
    DO(ss_kernel, "mov eax, 0x10; mov ss, eax")                                                                \
    DO(ds_ldt, "mov eax, 0x1007; mov ds, eax")                                                                 \
    DO(call_ldt, "mov rcx, 0x100700000000; push rcx; call fword ptr [rsp]")                                    \
    DO(sldt, "sldt eax")                                                                                       \
    DO(gs_null_read, "xor eax, eax; mov gs, eax; mov rax, gs:[0]")                                             \
    DO(syscall, "mov eax, 39; syscall")                                                                        \
    DO(syscall_tf, "mov eax, 39; pushfq; or dword ptr [rsp], 0x100; popfq; syscall")                           \
    DO(syscall_tf_nt, "mov eax, 39; pushfq; or dword ptr [rsp], 0x4100; popfq; syscall")                       \
    DO(syscall_hole, "mov rcx, " HOLE "; mov r11, -1; mov eax, 39; syscall")
/* clang-format on */

uint8_t data[16] = {0xc3}; /* a `ret`, were it executed */

/* Leaves without touching the stack, which may be anywhere. The selectors and flags do not matter either. */
__attribute__((naked, used)) static void survived(void) {
    asm("mov edi, " SURVIVED "\n"
        "mov eax, 231\n"
        "syscall");
}

#define FUNCTION(name, code)                                                                                           \
    __attribute__((naked)) static void trap_##name(void) { asm(code "\n jmp survived"); }
TRAPS(FUNCTION)

#define ENTRY(name, code) {#name, trap_##name},
static const struct {
    const char *name;
    void (*code)(void);
} traps[] = {TRAPS(ENTRY)};

/* 256 times `int n`, each in eight bytes. */
__attribute__((naked)) static void interrupts(void) {
    asm(".irp high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        ".irp low, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        ".balign 8\n"
        ".byte 0xcd, 16 * \\high + \\low\n"
        "jmp survived\n"
        ".endr\n"
        ".endr");
}

/* Sets the flags, then the stack, and jumps: nothing else happens between. No number is in rax, so that an
 * `int 0x80` that is a system call after all asks for none. */
__attribute__((naked)) static void jump(void (*code)(void), uint64_t flags, uint64_t rsp) {
    (void)code, (void)flags, (void)rsp;
    asm("pushfq\n"
        "or [rsp], rsi\n"
        "mov rax, -1\n"
        "popfq\n"
        "mov rsp, rdx\n"
        "jmp rdi");
}

static void *find(int argc, char **argv) {
    if (argc > 2 && same_text(argv[1], "int")) {
        uint64_t n = same_text(argv[2], "pid") ? (uint64_t)get_pid() : parse(argv[2], 10);
        return (char *)interrupts + 8 * (n & 255);
    }
    for (size_t i = 0; argc > 1 && i < sizeof traps / sizeof traps[0]; i++)
        if (same_text(argv[1], traps[i].name))
            return traps[i].code;
    return NULL;
}

static int start(int argc, char **argv) {
    void *code = find(argc, argv);
    bool is_int = argc > 1 && same_text(argv[1], "int");

    if (!code) {
        print("trap: no such name\n");
        return 2;
    }
    uint64_t flags = !is_int && argc > 2 ? parse(argv[2], 16) : 0;
    uint64_t rsp = !is_int && argc > 3 ? parse(argv[3], 16) : (uint64_t)__builtin_frame_address(0) & ~15ul;
    jump(code, flags, rsp - (argc > 3 ? 0 : 64));
    return 1;
}
