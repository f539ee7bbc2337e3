/* Asks on which CPU it runs. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

int main(void) {
    unsigned cpu = 77;
    long result = system_call(SYS_getcpu, (long)&cpu, 0, 0, 0, 0, 0);

    printf("cpu: getcpu gives %ld, the CPU is %u\n", result, cpu);
    return result != 0;
}
