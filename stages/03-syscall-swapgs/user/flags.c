/* What a system call does to rflags: nothing. `syscall` clears the bits named in SFMASK for the kernel, and
 * `sysretq` brings them back from r11. Tries every combination of the bits that a program may set. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

/* CF PF AF ZF SF DF OF NT AC ID. IF and IOPL are not a program's to change, and TF would stop it. */
static const unsigned bits[] = {0, 2, 4, 6, 7, 10, 11, 14, 18, 21};
#define BITS (sizeof bits / sizeof bits[0])

#define ALWAYS_SET 0x202 /* bit 1 reads as one; IF is set in ring 3 */

/* Loads the flags, makes a system call, and returns the flags that it came back with. */
static unsigned long flags_over_syscall(unsigned long flags) {
    long number = SYS_getpid;

    /* Nothing stands between popfq and pushfq but the call: DF would upset the string instructions of
     * compiled code, AC its unaligned accesses. The initial flags are put back at the end. */
    asm volatile("pushfq\n\t"
                 "push %1\n\t"
                 "popfq\n\t"
                 "syscall\n\t"
                 "pushfq\n\t"
                 "pop %1\n\t"
                 "popfq"
                 : "+a"(number), "+r"(flags)
                 :
                 : "rcx", "r11", "memory", "cc");
    return flags;
}

int main(void) {
    unsigned wrong = 0;

    for (unsigned combination = 0; combination < 1u << BITS; combination++) {
        unsigned long flags = ALWAYS_SET;

        for (unsigned i = 0; i < BITS; i++)
            if (combination & 1u << i)
                flags |= 1ul << bits[i];
        unsigned long after = flags_over_syscall(flags);
        if (after != flags && wrong++ == 0)
            printf("flags: were 0x%lx and are 0x%lx\n", flags, after);
    }
    printf("flags: %u of %u combinations came back changed\n", wrong, 1u << BITS);
    return wrong != 0;
}
