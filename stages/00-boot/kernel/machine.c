/* machine.c: the end of the run. Called when the last program has ended, by panic() and by the self-tests.
 * SPDX-License-Identifier: MIT */
#include <kernel/machine.h>
#include <kernel/x86.h>

_Noreturn void machine_exit(bool good)
{
    cli();
    outb(QEMU_EXIT_PORT, good ? EXIT_GOOD : EXIT_BAD);
    for (const char *word = good ? "D" : "Shutdown"; *word; word++)
        outb(BOCHS_EXIT_PORT, (uint8_t)*word);
    for (;;)
        hlt();
}
