/* console.c: characters out, by COM1 and by the VGA text screen. Used by printk() and by the system call write.
 * SPDX-License-Identifier: MIT
 *
 * Polled: a kernel that explains itself must be able to print with interrupts off. */
#include <kernel/kernel.h>
#include <kernel/machine.h>

#define COLUMNS 80
#define ROWS    25
#define BLANK   (0x0700 | ' ') /* light grey on black, and the character */

struct lock console_lock;
static unsigned column, row;
static uint16_t *screen; /* NULL: none */

void console_init(const struct multiboot2_info *info) {
    outb(COM1 + COM_INTERRUPTS, 0);
    outb(COM1 + COM_LINE, 0x80); /* the divisor latch, for the next two lines: 115200 baud */
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + COM_LINE, COM_8_BITS);
    outb(COM1 + COM_FIFO, 0x07);
    outb(COM1 + COM_MODEM, 0x03);

    const struct multiboot2_framebuffer *f = multiboot2_find(info, MULTIBOOT2_FRAMEBUFFER, NULL);
    if (!f || f->type != FRAMEBUFFER_EGA_TEXT || f->width != COLUMNS || f->address != VGA_TEXT)
        return;
    screen = phys_to_virt(VGA_TEXT);
    for (unsigned cell = 0; cell < COLUMNS * ROWS; cell++)
        screen[cell] = BLANK;
}

static void screen_new_line(void) {
    if (++row < ROWS)
        return;
    row = ROWS - 1;
    memcpy(screen, screen + COLUMNS, sizeof(*screen) * COLUMNS * row);
    for (unsigned c = 0; c < COLUMNS; c++)
        screen[row * COLUMNS + c] = BLANK;
}

void console_put(char c) {
    while (!(inb(COM1 + COM_LINE_STATUS) & COM_HOLDER_EMPTY))
        pause();
    outb(COM1, (uint8_t)c);
    if (screen && (c == '\n' || (column && column % COLUMNS == 0)))
        screen_new_line();
    if (screen && c != '\n')
        screen[row * COLUMNS + column % COLUMNS] = (BLANK & 0xff00) | (uint8_t)c;
    column = c == '\n' ? 0 : column + 1;
}

void console_write(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        console_put(text[i]);
}

void console_fresh_line(void) {
    if (column)
        console_put('\n');
}
