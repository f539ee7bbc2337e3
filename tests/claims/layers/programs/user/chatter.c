/* Prints lines for ever. Only the end of the machine stops it. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    for (;;)
        printf("chatter of task %d\n", getpid());
}
