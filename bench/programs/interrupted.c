/* freestanding: what an interrupt costs, seen from ring 3: a loop reads the clock, and the round that takes longer than
 * the others has been interrupted. With the argument exceptions also what an exception costs; that wants handlers which
 * let the program go on (bench/layers/empty-interrupt). */
/* SPDX-License-Identifier: MIT */
#include <measure.h>

enum { ROUNDS = 100, REPETITIONS = 1000 };

/* Goes round until one took longer than `most`, and gives how long that one took; or until there were enough rounds.
 * *longest becomes the longest of all. In assembly, so that all rounds are of the same length, whatever they are looked
 * at for; only the first is shorter. */
static uint64_t longer_round(uint64_t most, uint64_t rounds, uint64_t *longest) {
    uint64_t last = now(), took = 0;

    asm volatile("1: rdtsc\n"
                 "shl rdx, 32\n"
                 "or rax, rdx\n"
                 "mov %[took], rax\n"
                 "sub %[took], %[last]\n"
                 "mov %[last], rax\n"
                 "cmp %[took], %[longest]\n"
                 "cmova %[longest], %[took]\n"
                 "cmp %[took], %[most]\n"
                 "ja 2f\n"
                 "dec %[rounds]\n"
                 "jnz 1b\n"
                 "2:"
                 : [took] "+r"(took), [last] "+r"(last), [longest] "+r"(*longest), [rounds] "+r"(rounds)
                 : [most] "r"(most)
                 : "rax", "rdx", "cc");
    return took;
}

static void measure_interrupts(void) {
    uint64_t ticks[BATCHES], round[BATCHES], longest = 0;

    for (unsigned n = 0; n < BATCHES; n++) {
        round[n] = 0;
        longer_round(UINT64_MAX, ROUNDS, &round[n]);
    }
    print_result("round", 1, round); /* sorted: the first is of a batch that nobody has interrupted */
    for (unsigned n = 0; n < BATCHES; n++)
        ticks[n] = longer_round(round[0], UINT64_MAX, &longest) - round[0];
    print_result("interrupt", 1, ticks);
}

#define MEASURE_LOOP(name, instruction)                                                                                \
    do {                                                                                                               \
        uint64_t ticks[BATCHES];                                                                                       \
                                                                                                                       \
        for (unsigned n = 0; n < BATCHES; n++)                                                                         \
            ticks[n] = TIME_LOOP(instruction, REPETITIONS, 0);                                                         \
        print_result(name, REPETITIONS, ticks);                                                                        \
    } while (0)

static int start(int argc, char **argv) {
    measure_interrupts();
    if (argc > 1 && same_text(argv[1], "exceptions")) {
        MEASURE_LOOP("loop", "nop");
        MEASURE_LOOP("breakpoint", "int3");
        MEASURE_LOOP("page-fault", "mov al, [rax]"); /* of two bytes; rax is 0 */
    }
    return 0;
}
