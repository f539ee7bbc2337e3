/* Goes to the very end of user space, where the address of the next instruction is 0x800000000000: the first that
 * is not canonical. `edge syscall` gets there by a system call in the last two bytes, `edge run` by running off the
 * end, `edge attack` as by syscall, with RSP in the memory of the kernel, `edge timer N` by a loop that falls off the
 * end in the very moment of a timer tick, if N is well chosen.
 * The kernel must end the program before it tries to return to that address. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define PAGE_SIZE 4096
#define LAST_PAGE 0x7ffffffff000ul

#define PROT_ALL                    7 /* read, write, execute */
#define MAP_PRIVATE_FIXED_ANONYMOUS (0x02 | 0x10 | 0x20)

#define NOP 0x90

/* A page below 1 MiB, as the kernel sees it. Ring 3 cannot touch it; a frame that ring 0 pushed would land there. */
#define KERNEL_MEMORY 0xffff800000090000

/* For the page's last bytes: the system call; or the loop `dec rcx; jnz`, which falls off the end when done. */
static const unsigned char syscall_code[] = {0x0f, 0x05};
static const unsigned char loop_code[] = {0x48, 0xff, 0xc9, 0x75, 0xfb};

/* Jumps into the last page with a system call's number in rax and a count for the loop in rcx. */
__attribute__((noreturn)) static void jump(unsigned char *to, unsigned long count) {
    asm volatile("jmp %0" : : "r"(to), "a"(SYS_getpid), "c"(count) : "memory");
    __builtin_unreachable();
}

/* Puts the code at the end of the page, and returns where it begins. */
static unsigned char *place_at_the_end(const unsigned char *code, size_t length) {
    return memcpy((unsigned char *)LAST_PAGE + PAGE_SIZE - length, code, length);
}

/* As jump(), with the stack pointer where no stack of this program is. */
__attribute__((noreturn)) static void jump_with_stack(unsigned char *to, unsigned long stack) {
    asm volatile("mov rsp, %1; jmp %0" : : "r"(to), "r"(stack), "a"(SYS_getpid) : "memory");
    __builtin_unreachable();
}

static unsigned long read_tsc(void) {
    unsigned low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (unsigned long)high << 32 | low;
}

/* Waits until the kernel takes the CPU for a moment, and returns the last time before that. */
static unsigned long wait_for_tick(void) {
    enum { MOMENT = 2000 };
    unsigned long before, now = read_tsc();

    do {
        before = now;
        now = read_tsc();
    } while (now - before < MOMENT);
    return before;
}

/* Comes to the end of the loop about when the next tick is due, N half rounds later than at the earliest. Each N
 * sleeps for another while first, so that the programs that try different ones do not disturb each other. */
__attribute__((noreturn)) static void run_into_tick(long n) {
    enum { ROUNDS = 50000, EARLIEST = 16, MILLISECOND = 1000000 };
    struct timespec nap = {1 + n / 10, n % 10 * 100 * MILLISECOND};
    unsigned char *loop = place_at_the_end(loop_code, sizeof loop_code);

    system_call(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
    wait_for_tick();
    /* What 50,000 rounds cost, without what it costs to ask. */
    unsigned long start = read_tsc();
    burn(ROUNDS);
    unsigned long middle = read_tsc();
    burn(2 * ROUNDS);
    unsigned long cost_of_rounds = (read_tsc() - middle) - (middle - start);
    unsigned long first = wait_for_tick(), second = wait_for_tick();
    unsigned long due = second + (second - first);
    /* A round has two instructions: an odd N begins with a `nop` more. */
    jump(loop - n % 2, (due - read_tsc()) * ROUNDS / cost_of_rounds + (unsigned long)(n / 2) - EARLIEST);
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "syscall";
    unsigned char *page = (unsigned char *)LAST_PAGE;
    long mapped = system_call(SYS_mmap, (long)page, PAGE_SIZE, PROT_ALL, MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0);

    if (mapped != (long)page) {
        printf("edge: the last page of user space cannot be mapped (error %ld); Linux keeps it free\n", -mapped);
        return 1;
    }
    memset(page, NOP, PAGE_SIZE);
    printf("edge: going to the end of user space (%s)\n", way);
    if (strcmp(way, "run") == 0)
        jump(page, 0);
    if (strcmp(way, "timer") == 0)
        run_into_tick(argc > 2 ? parse_number(argv[2]) : 0);
    unsigned char *syscall = place_at_the_end(syscall_code, sizeof syscall_code);
    if (strcmp(way, "attack") == 0)
        jump_with_stack(syscall, KERNEL_MEMORY);
    jump(syscall, 0);
}
