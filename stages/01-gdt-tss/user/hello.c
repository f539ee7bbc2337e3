/* A program in ring 3: says where it is and with which arguments it was started. The low two bits of CS are
 * the current privilege level; they alone decide what the CPU lets this program do. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(int argc, char **argv) {
    unsigned long cs, rsp;

    asm volatile("mov %0, cs" : "=r"(cs));
    asm volatile("mov %0, rsp" : "=r"(rsp));
    printf("hello from ring %lu: cs=0x%lx, rsp=0x%lx\n", cs & 3, cs, rsp);
    for (int i = 0; i < argc; i++)
        printf("hello: argv[%d] is \"%s\"\n", i, argv[i]);
    return 0;
}
