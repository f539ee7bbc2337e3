/* proof.c: runs the proofs that the linker has collected. Called by main.c.
 * SPDX-License-Identifier: MIT */
#include <proof/proof.h>

extern const struct proof proofs_start[], proofs_end[];

void proofs_run(void) {
    for (const struct proof *proof = proofs_start; proof < proofs_end; proof++)
        if (!proof->word || command_line_has(proof->word))
            proof->run();
}
