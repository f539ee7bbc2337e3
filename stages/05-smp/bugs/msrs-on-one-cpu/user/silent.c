/* Computes, and makes no system call but the last, from which there is no return. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS 10000000 /* several ticks of the timer */

int main(void) {
    burn(ROUNDS);
    return 0;
}
