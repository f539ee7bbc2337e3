/* console.c: characters out, by COM1 and by the VGA text screen. Used by printk() and by the system call write.
 * SPDX-License-Identifier: MIT
 *
 * Polled: a kernel that explains itself must be able to print with interrupts off. */
#include <kernel/kernel.h>
#include <kernel/machine.h>

#define COLUMNS 80
#define ROWS    25
#define GREY    0x0700 /* light grey on black; the low byte is the character */

struct lock console_lock;
static volatile unsigned column, row; /* a panic may stop this CPU anywhere, and another one goes on from here */
/* Where the firmware has left another mode (UEFI), what is written there is not seen. */
static uint16_t *const screen = (uint16_t *)(DIRECT_BASE + VGA_TEXT);

static void screen_clear(unsigned from_row) {
    for (unsigned cell = from_row * COLUMNS; cell < ROWS * COLUMNS; cell++)
        screen[cell] = GREY | ' ';
}

void console_init(void) {
    outb(COM1 + COM_LINE, COM_DIVISOR); /* for the next two lines: 115200 baud */
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + COM_LINE, COM_8_BITS);
    outb(COM1 + COM_MODEM, COM_READY);
    screen_clear(0);
}

static void screen_new_line(void) {
    if (++row < ROWS)
        return;
    row = ROWS - 1;
    /* They overlap; our memcpy() goes upwards. */
    memcpy(screen, screen + COLUMNS, sizeof(*screen) * COLUMNS * row);
    screen_clear(row);
}

void console_put(char c) {
    while (!(inb(COM1 + COM_LINE_STATUS) & COM_HOLDER_EMPTY))
        pause();
    if (c == '\n' || (column && column % COLUMNS == 0))
        screen_new_line();
    if (c != '\n')
        screen[row * COLUMNS + column++ % COLUMNS] = GREY | (uint8_t)c;
    outb(COM1, (uint8_t)c);
    if (c == '\n') /* only now: while it is 0, COM1's line is empty, and a panic may begin */
        column = 0;
}

void console_fresh_line(void) {
    if (column)
        console_put('\n');
}
