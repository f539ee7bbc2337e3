/* proof.h: what is built into the kernel only to show that something holds. Such code lies in the folders proof/; the
 * kernel runs it and knows nothing of it but the words that ask for it.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>

struct proof {
    const char *word; /* on the command line, to run it; NULL: it always runs */
    void (*run)(void);
};

#define PROOF(word, run) __attribute__((section(".proofs"), used)) static const struct proof proof_##run = {word, run}

/* Runs them in the order of their files' names. The last thing before the programs. */
void proofs_run(void);
