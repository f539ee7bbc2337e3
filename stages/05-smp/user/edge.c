/* Goes to the very end of user space, where the address of the next instruction is 0x800000000000: the first that
 * is not canonical. `edge syscall` gets there by a system call in the last two bytes, `edge run` by running off
 * the end, `edge timer DELAY` with a loop whose last instruction the timer may just interrupt.
 * The kernel must end the program before it tries to return to that address. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define PAGE_SIZE 4096
#define LAST_PAGE 0x7ffffffff000ul

#define PROT_ALL 7                      /* read, write, execute */
#define MAP_PRIVATE_FIXED_ANONYMOUS (0x02 | 0x10 | 0x20)

#define NOP 0x90

/* In the page's last bytes: the system call; or the loop `dec rcx; jnz`, which falls off the end when done. */
static const unsigned char syscall_code[] = { 0x0f, 0x05 };
static const unsigned char loop_code[] = { 0x48, 0xff, 0xc9, 0x75, 0xfb };

/* Jumps into the last page with a system call's number in rax and a count for the loop in rcx. */
__attribute__((noreturn)) static void jump(unsigned char *to, unsigned long count)
{
    asm volatile("jmp %0" : : "r"(to), "a"(SYS_getpid), "c"(count) : "memory");
    __builtin_unreachable();
}

__attribute__((noreturn)) static void run_at_the_end(const unsigned char *code, size_t length, unsigned long count)
{
    unsigned char *end = (unsigned char *)LAST_PAGE + PAGE_SIZE;

    memcpy(end - length, code, length);
    jump(end - length, count);
}

int main(int argc, char **argv)
{
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
        run_at_the_end(loop_code, sizeof loop_code, argc > 2 ? (unsigned long)parse_number(argv[2]) : 1000000);
    run_at_the_end(syscall_code, sizeof syscall_code, 0);
}
