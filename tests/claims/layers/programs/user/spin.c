/* Runs for a while without any system call, then ends by an invalid instruction: only a timer can take the CPU
 * from it before that. The argument is how many million rounds. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(int argc, char **argv) {
    burn((argc > 1 ? (unsigned long)parse_number(argv[1]) : 1) * 1000000);
    asm volatile("ud2");
    return 1;
}
