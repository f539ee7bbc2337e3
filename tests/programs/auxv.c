/* What the kernel puts on a new program's stack: arguments, an empty environment, and the auxiliary vector, whose
 * addresses are compared with what the linker knows. */
/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>

extern const Elf64_Ehdr __ehdr_start;
extern char **environ;
void _start(void);

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines, or the kernel's own could come between */
    const Elf64_Phdr *headers = (const void *)getauxval(AT_PHDR);
    const unsigned char *random = (const void *)getauxval(AT_RANDOM);
    uint32_t mxcsr;
    uint16_t x87_control;

    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    asm volatile("fnstcw %0" : "=m"(x87_control));
    printf("argc %d, argv[argc] %s, first argument %s\n", argc, argv[argc] ? "not null" : "null", argv[0]);
    printf("environment %s\n", environ[0] ? "not empty" : "empty");
    printf("argc lies at a multiple of 16: %s\n", (uintptr_t)(argv - 1) % 16 == 0 ? "yes" : "no");
    printf("AT_PAGESZ %lu\n", getauxval(AT_PAGESZ));
    printf("AT_PHENT %lu\n", getauxval(AT_PHENT));
    printf("AT_PHNUM is right: %s\n", getauxval(AT_PHNUM) == __ehdr_start.e_phnum ? "yes" : "no");
    printf("AT_PHDR is right: %s\n",
           (uintptr_t)headers == (uintptr_t)&__ehdr_start + __ehdr_start.e_phoff ? "yes" : "no");
    printf("AT_ENTRY is right: %s\n", getauxval(AT_ENTRY) == (uintptr_t)_start ? "yes" : "no");
    printf("AT_SECURE %lu\n", getauxval(AT_SECURE));
    int sum = 0;
    for (int i = 0; i < 16; i++)
        sum += random[i];
    printf("AT_RANDOM holds something: %s\n", sum ? "yes" : "no");
    printf("mxcsr 0x%x, x87 control 0x%x, rounding to nearest: %s\n", mxcsr, x87_control,
           fegetround() == FE_TONEAREST ? "yes" : "no");
    return 0;
}
