/* machine_check.c: ends the kernel by #MC, in the worst place. Started by the word machine-check, for tools/ablate.
 * SPDX-License-Identifier: MIT
 *
 * An INT 18 is no machine check, but it takes the same gate, stack, stub and entry. */
#include <proof/proof.h>

void raise_machine_check(void);

PROOF("machine-check", raise_machine_check);
