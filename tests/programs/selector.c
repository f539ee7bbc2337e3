/* freestanding: takes a selector that it was not given.
 * selector WAY NUMBER|pid: loads it (ds, es, fs, gs, ss) or goes there (lretq, iretq, call, jump); who comes through
 * alive exits with SURVIVED. pid: the low byte of the task's number, so that 256 copies try 256 selectors.
 * selector look: which of all 65,536 may be read, written to and looked at, by VERR, VERW, LAR and LSL.
 * selector ldt: an LDT that nobody has loaded lies at address 0, says a CPU after its reset; then a call gate written
 * there leads into ring 0. The exit statuses and the list are compared by tests/hostile/test_selectors.py. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

#define SURVIVED    "99"
#define LDT_PAGE    0x1000ul
#define CALL_GATE_3 (0xecul << 40) /* present, ring 3 may call it, 64-bit call gate */

/* Leaves without touching the stack; in ring 0, too, only by way of ring 3. */
__attribute__((naked, used)) static void survived(void) {
    asm("mov edi, " SURVIVED "\n"
        "mov eax, 231\n"
        "syscall");
}

/* clang-format off */
#define WAYS(DO)                                                                                               \
    DO(ds, "mov ds, edi")                                                                                      \
    DO(es, "mov es, edi")                                                                                      \
    DO(fs, "mov fs, edi")                                                                                      \
    DO(gs, "mov gs, edi")                                                                                      \
    DO(ss, "mov ss, edi")                                                                                      \
    DO(lretq, "lea rax, [rip + survived]; push rdi; push rax; retfq")                                          \
    DO(iretq, "mov eax, ss; mov rcx, rsp; push rax; push rcx; push 0x202; push rdi; lea rax, [rip + survived]; "    \
              "push rax; iretq")                                                                               \
    DO(call, "shl rdi, 32; lea rax, [rip + survived]; or rdi, rax; push rdi; call fword ptr [rsp]")            \
    DO(jump, "shl rdi, 32; lea rax, [rip + survived]; or rdi, rax; push rdi; jmp fword ptr [rsp]")
/* clang-format on */

#define FUNCTION(name, code)                                                                                           \
    __attribute__((naked)) static void by_##name(uint64_t selector) {                                                  \
        (void)selector;                                                                                                \
        asm(code "\n jmp survived");                                                                                   \
    }
WAYS(FUNCTION)

#define ENTRY(name, code) {#name, by_##name},
static const struct {
    const char *name;
    void (*code)(uint64_t selector);
} ways[] = {WAYS(ENTRY)};

/* Bit 0: VERR says yes, 1: VERW, 2: LAR, 3: LSL. */
static unsigned rights(uint32_t selector) {
    bool read, write, access, limit;
    uint32_t value;

    asm("verr %w1" : "=@ccz"(read) : "r"(selector));
    asm("verw %w1" : "=@ccz"(write) : "r"(selector));
    asm("lar %1, %2" : "=@ccz"(access), "=r"(value) : "r"(selector));
    asm("lsl %1, %2" : "=@ccz"(limit), "=r"(value) : "r"(selector));
    return read | (unsigned)write << 1 | (unsigned)access << 2 | (unsigned)limit << 3;
}

static int look(void) {
    for (uint32_t selector = 0; selector < 0x10000; selector++) {
        unsigned found = rights(selector);

        if (found) {
            print_hex(selector);
            print(found & 1 ? " read" : "");
            print(found & 2 ? " write" : "");
            print(found & 4 ? " lar" : "");
            print(found & 8 ? " lsl" : "");
            print("\n");
        }
    }
    return 0;
}

uint64_t cr0_found; /* known to the assembly by name */

__attribute__((naked, used)) static void in_ring_0(void) {
    asm("mov rax, cr0\n"
        "mov [rip + cr0_found], rax\n"
        "retfq");
}

static int call_by_ldt(void) {
    struct __attribute__((packed)) {
        uint64_t offset;
        uint16_t selector;
    } gate = {0, LDT_PAGE | 4 | 3};
    uint64_t *page = (uint64_t *)system_call(SYS_mmap, LDT_PAGE, 4096, 3, 0x32, -1, 0);
    uint64_t target = (uint64_t)in_ring_0;

    if ((uint64_t)page != LDT_PAGE) {
        print("selector: no page there\n");
        return 2;
    }
    page[0] = (target & 0xffff) | 8ul << 16 | CALL_GATE_3 | (target >> 16 & 0xffff) << 48; /* 8: the kernel's code */
    page[1] = target >> 32;
    asm volatile("rex.w call fword ptr %0" : : "m"(gate) : "rax", "memory");
    print("selector: in ring 0, where CR0 is ");
    print_hex(cr0_found);
    print("\n");
    return 1;
}

static int start(int argc, char **argv) {
    if (argc == 2 && same_text(argv[1], "look"))
        return look();
    if (argc == 2 && same_text(argv[1], "ldt"))
        return call_by_ldt();
    for (size_t i = 0; argc == 3 && i < sizeof ways / sizeof ways[0]; i++)
        if (same_text(argv[1], ways[i].name))
            ways[i].code(same_text(argv[2], "pid") ? (uint64_t)get_pid() & 255 : parse(argv[2], 16));
    print("selector: what?\n");
    return 2;
}
