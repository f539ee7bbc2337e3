/* Makes a system call that takes many ticks: the kernel's clock must go on meanwhile, so interrupts are on in it. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define SIZE                  (32ul << 20)
#define PROT_READ_WRITE       3
#define MAP_PRIVATE_ANONYMOUS (0x02 | 0x20)

int main(void) {
    long address = system_call(SYS_mmap, 0, SIZE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);

    printf("long_call: %s\n", address > 0 ? "mapped" : "no memory");
    return address <= 0;
}
