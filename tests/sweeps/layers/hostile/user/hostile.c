/* Enters the kernel in every way again and again, with a GS base that does harm to a kernel that takes it for its own:
 * hostile zero | fake | kernel [debug | watch]
 * fake: a page that looks like a PCR. kernel: within the PCR itself, by WRGSBASE. debug: with a breakpoint at
 * syscall_entry; watch: with one on data that MOV SS reads just before SYSCALL. At the end it looks whether anybody has
 * written to the page. */
/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <user/ulib.h>

#define ARCH_SET_GS 0x1001

enum { WITH_FSGSBASE = 1, BREAK_AT_ENTRY = 2, WATCH = 4 };
enum { CLOCK_MONOTONIC = 1, NOT_MAPPED = 0x10, ROUNDS = 1000 };

#define WORDS 512
static unsigned long page[WORDS] __attribute__((aligned(4096)));
unsigned stack_selector = 0x23; /* of ring 3's data */

/* Where a debugger stops: each of these labels is the address of an instruction that enters the kernel. */
#define CALL_AT(label) "\n" label ":\n syscall\n"

static long call_getpid(void) {
    long result = SYS_getpid;
    asm volatile(CALL_AT("at_syscall") : "+a"(result) : : "rcx", "r11", "memory");
    return result;
}

static long call_clock_wrongly(void) {
    long result = SYS_clock_gettime;
    asm volatile(CALL_AT("at_user_copy_fault")
                 : "+a"(result)
                 : "D"((long)CLOCK_MONOTONIC), "S"((long)NOT_MAPPED)
                 : "rcx", "r11", "memory");
    return result;
}

static void call_yield(void) {
    long result = SYS_sched_yield;
    asm volatile(CALL_AT("at_switch") : "+a"(result) : : "rcx", "r11", "memory");
}

static void breakpoint(void) { asm volatile("at_interrupt:\n int3" : : : "memory"); }

static void single_step(void) {
    asm volatile("sub rsp, 128\n pushfq\n or qword ptr [rsp], 0x100\n popfq\n at_debug:\n nop\n add rsp, 128"
                 :
                 :
                 : "memory", "cc");
}

static void debug_in_kernel(void) { asm volatile("int 0x86" : : : "memory"); }

/* The kernel's #DB handler clears TF if the trap comes in ring 3, so it is still set if it has come in ring 0. */
static void step_into_syscall(void) {
    long result = SYS_getpid;
    asm volatile("sub rsp, 128\n pushfq\n or qword ptr [rsp], 0x100\n popfq\n at_step_into_entry:\n syscall\n nop\n"
                 "add rsp, 128"
                 : "+a"(result)
                 :
                 : "rcx", "r11", "memory", "cc");
}

static void watched_syscall(void) {
    long result = SYS_getpid;
    asm volatile("at_watched:\n mov ss, [rip + stack_selector]\n syscall" : "+a"(result) : : "rcx", "r11", "memory");
}

static unsigned long prepare(unsigned long what, const void *watched) {
    unsigned long pcr;
    asm volatile("int 0x85" : "=a"(pcr) : "D"(what), "S"(watched) : "memory");
    return pcr;
}

static unsigned long pattern(int word) { return 0x0101010101010101ul * (unsigned long)(word % 255 + 1); }

static int look_at_page(void) {
    int changed = 0;
    for (int i = 1; i < WORDS; i++)
        changed += page[i] != pattern(i);
    return changed + (page[0] != (unsigned long)page);
}

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "zero", *how = argc > 2 ? argv[2] : "";
    bool in_kernel = strcmp(kind, "kernel") == 0, watch = strcmp(how, "watch") == 0;
    unsigned long what = strcmp(how, "debug") == 0 ? BREAK_AT_ENTRY : watch ? WATCH : 0;
    unsigned long pcr = prepare(what | (in_kernel ? WITH_FSGSBASE : 0), &stack_selector);

    for (int i = 1; i < WORDS; i++)
        page[i] = pattern(i);
    page[0] = (unsigned long)page; /* as the PCR's first word points to itself */
    if (in_kernel)
        asm volatile("wrgsbase %0" : : "r"(pcr + 64));
    else
        system_call(SYS_arch_prctl, ARCH_SET_GS, strcmp(kind, "fake") == 0 ? (long)page : 0, 0, 0, 0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        if (watch)
            watched_syscall();
        call_getpid();
        call_clock_wrongly();
        breakpoint();
        single_step();
        debug_in_kernel();
        step_into_syscall();
        call_yield();
    }
    printf("hostile: %d words of its page have changed\n", look_at_page());
    return look_at_page() != 0;
}
