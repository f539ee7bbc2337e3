/* panic.c: the end of the run, and the report of a kernel that cannot go on. tools/boot adds symbols and lines to the
 * addresses.
 * SPDX-License-Identifier: MIT
 *
 * Runs in any state: it trusts no pointer, waits for no lock that another CPU held, and a fault in it ends the run at
 * once. */
#include <kernel/kernel.h>
#include <kernel/machine.h>

#define BACKTRACE_MAX 24

_Noreturn void machine_exit(bool good) {
    cli();
    while (!(inb(COM1 + COM_LINE_STATUS) & COM_ALL_SENT))
        pause();
    outb(QEMU_EXIT_PORT, good ? EXIT_GOOD : EXIT_BAD);
    for (const char *word = good ? "D" : "Shutdown"; *word; word++)
        outb(BOCHS_EXIT_PORT, (uint8_t)*word);
    for (;;)
        hlt();
}

uint64_t panic_begin(const char *format, ...) {
    static bool reporting;
    va_list arguments;
    cli();
    unsigned cpu = stop_other_cpus();
    if (reporting) {
        for (const char *c = "\npanic: again, while reporting a panic\n"; *c; c++)
            console_put(*c);
        machine_exit(false);
    }
    reporting = true;
    console_lock = (struct lock){}; /* whoever held it has stopped */
    printk("panic: CPU %u: ", cpu);
    va_start(arguments, format);
    format_text(console_put, format, arguments);
    va_end(arguments);
    return (uint64_t)__builtin_return_address(0);
}

_Noreturn void panic_end(uint64_t rip, uint64_t rbp) {
    printk("  rbp %016lx  rflags %lx  cr0 %lx  cr2 %lx  cr3 %lx  cr4 %lx\n  backtrace:\n", rbp, read_rflags(),
           read_cr0(), read_cr2(), read_cr3(), read_cr4());
    for (unsigned n = 0; n < BACKTRACE_MAX; n++) {
        printk("    0x%016lx\n", rip);
        if (rbp % 8 || !kernel_address_mapped(rbp) || !kernel_address_mapped(rbp + 15))
            break;
        const uint64_t *frame = (const uint64_t *)rbp; /* the caller's RBP, then the return address */
        rbp = frame[0];
        rip = frame[1];
    }
    machine_exit(false);
}
