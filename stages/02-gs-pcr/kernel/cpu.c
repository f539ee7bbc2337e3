/* cpu.c: the boot CPU's PCR. In the image, because it is needed before memory can be had. Called by main.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/cpu.h>
#include <kernel/pcr.h>

static struct pcr boot_pcr;

void cpu_init(void)
{
    pcr_init(&boot_pcr, 0);
}
