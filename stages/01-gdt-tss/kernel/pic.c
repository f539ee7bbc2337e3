/* pic.c: silences the 8259 interrupt controllers. Called by main.c before interrupts are turned on.
 * SPDX-License-Identifier: MIT
 *
 * The BIOS leaves the timer on vector 8, which the CPU uses for #DF. Source: Intel 8259A data sheet. */
#include <kernel/pic.h>
#include <kernel/trap.h>
#include <kernel/x86.h>

#define PIC_MASTER   0x20
#define PIC_SLAVE    0xa0
#define PIC_VECTOR   0xe0
#define SPURIOUS_IRQ 7 /* comes from a masked PIC too, of both */

static bool ignore(struct trap_frame *frame)
{
    (void)frame;
    return true;
}

static void pic_set(uint16_t port, uint8_t vector, uint8_t cascade)
{
    outb(port, 0x11); /* begin: edge triggered, cascaded, four words */
    outb(port + 1, vector);
    outb(port + 1, cascade);
    outb(port + 1, 0x01); /* 8086 mode */
    outb(port + 1, 0xff); /* mask all */
}

void pic_disable(void)
{
    pic_set(PIC_MASTER, PIC_VECTOR, 1 << 2);
    pic_set(PIC_SLAVE, PIC_VECTOR + 8, 2);
    trap_handle(PIC_VECTOR + SPURIOUS_IRQ, ignore);
    trap_handle(PIC_VECTOR + 8 + SPURIOUS_IRQ, ignore);
}
