/* Maps and unmaps large pieces of addresses, one after the other and each only once: what stays behind of each, if
 * anything, uses up the memory. The argument is how often. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define PIECE                 0x200000
#define PROT_NONE             0
#define SYS_munmap            11
#define MAP_PRIVATE_ANONYMOUS (0x02 | 0x20)

int main(int argc, char **argv) {
    long rounds = argc > 1 ? parse_number(argv[1]) : 1000;

    for (long round = 0; round < rounds; round++) {
        long address = system_call(SYS_mmap, 0, PIECE, PROT_NONE, MAP_PRIVATE_ANONYMOUS, -1, 0);
        if (address < 0 || system_call(SYS_munmap, address, PIECE, 0, 0, 0, 0) != 0) {
            printf("recycle: error %ld in round %ld\n", address, round);
            return 1;
        }
    }
    printf("recycle: nothing is left behind\n");
    return 0;
}
