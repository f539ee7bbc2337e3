/* Asks to go on with IOPL = 3, and then does what only the kernel may: turns interrupts off, and reads a port. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define IOPL_3           0x3000
#define KEYBOARD_CONTROL 0x64

int main(void) {
    unsigned long flags;
    unsigned char status;

    asm volatile("int 0x90; pushfq; pop %0" : "=r"(flags) : "D"(IOPL_3) : "memory");
    printf("iopl: I asked for IOPL 3 and have IOPL %u\n", (unsigned)(flags >> 12 & 3));
    asm volatile("cli; in al, %1; sti" : "=a"(status) : "Nd"(KEYBOARD_CONTROL));
    printf("iopl: in ring 3 I have turned interrupts off, and read 0x%x from the keyboard's port\n", status);
    return 0;
}
