/* console.c: characters out, by COM1 and by the VGA text screen. Used by printk() and by the system call write.
 * SPDX-License-Identifier: MIT
 *
 * Polled: a kernel that explains itself must be able to print with interrupts off. */
#include <kernel/console.h>
#include <kernel/machine.h>
#include <kernel/memory_layout.h>
#include <kernel/string.h>
#include <kernel/x86.h>

#define COLUMNS 80
#define ROWS    25

struct lock console_lock;
static unsigned column, row;
static uint16_t (*screen)[COLUMNS]; /* NULL: none. A cell is a character and, above it, its colour */

void console_init(void)
{
    outb(COM1 + COM_INTERRUPTS, 0);
    outb(COM1 + COM_LINE, 0x80); /* the divisor latch, for the next two lines: 115200 baud */
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + COM_LINE, 0x03); /* 8 bits, no parity, one stop bit */
    outb(COM1 + COM_FIFO, 0x07);
    outb(COM1 + COM_MODEM, 0x03);
}

static void screen_clear_row(unsigned r)
{
    for (unsigned c = 0; c < COLUMNS; c++)
        screen[r][c] = 0x0700 | ' ';
}

void console_add_screen(const struct multiboot2_info *info)
{
    const struct multiboot2_framebuffer *framebuffer = multiboot2_find(info, MULTIBOOT2_FRAMEBUFFER, NULL);
    if (!framebuffer || framebuffer->type != FRAMEBUFFER_EGA_TEXT || framebuffer->width != COLUMNS)
        return;
    if (framebuffer->address > 0x100000 - sizeof(uint16_t[ROWS][COLUMNS]))
        return; /* the window maps the first MiB, and every VGA has its text there */
    screen = phys_to_virt(framebuffer->address);
    for (unsigned r = 0; r < ROWS; r++)
        screen_clear_row(r);
}

static void screen_new_line(void)
{
    if (++row < ROWS)
        return;
    row = ROWS - 1;
    memmove(screen[0], screen[1], sizeof(screen[0]) * (ROWS - 1));
    screen_clear_row(row);
}

static void serial_put(char c)
{
    while (!(inb(COM1 + COM_LINE_STATUS) & COM_TRANSMIT_EMPTY))
        pause();
    outb(COM1, (uint8_t)c);
}

void console_put(char c)
{
    serial_put(c);
    if (c != '\n')
        column++;
    if (screen && c == '\n') {
        screen_new_line();
    } else if (screen) {
        if (column > 1 && column % COLUMNS == 1)
            screen_new_line();
        screen[row][(column - 1) % COLUMNS] = 0x0700 | (uint8_t)c;
    }
    if (c == '\n')
        column = 0;
}

void console_write(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        console_put(text[i]);
}

void console_fresh_line(void)
{
    if (column)
        console_put('\n');
}
