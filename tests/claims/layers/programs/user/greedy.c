/* Takes page after page until the kernel has no more, and says how many it got. The argument is for how many
 * milliseconds to sleep before. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define PAGE_SIZE             4096
#define PROT_READ_WRITE       3
#define MAP_PRIVATE_ANONYMOUS (0x02 | 0x20)
#define ENOMEM                12

int main(int argc, char **argv) {
    long milliseconds = argc > 1 ? parse_number(argv[1]) : 0, pages = 0, address;
    struct timespec nap = {milliseconds / 1000, milliseconds % 1000 * 1000000};

    if (milliseconds)
        system_call(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
    while ((address = system_call(SYS_mmap, 0, PAGE_SIZE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)) > 0)
        pages++;
    printf("greedy: task %d got %ld pages\n", getpid(), pages);
    return address == -ENOMEM ? 0 : 1;
}
