/* write and writev: many pieces, empty pieces, pieces of one byte, a large one, both descriptors. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES 100
#define LARGE  3072

int main(void) {
    usleep(300000); /* until the kernel has said its own lines: these pieces are no whole lines */
    static char large[LARGE];
    static const char *const words[] = {"one ", "", "two ", "three", "\n"};
    struct iovec pieces[PIECES];
    ssize_t lengths[5];

    for (int i = 0; i < 5; i++)
        pieces[i] = (struct iovec){(void *)words[i], strlen(words[i])};
    lengths[0] = writev(STDOUT_FILENO, pieces, 5);

    for (int i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){i % 25 == 24 ? "\n" : "abcdefghijklmnopqrstuvwxy" + i % 25, 1};
    lengths[1] = writev(STDOUT_FILENO, pieces, PIECES);
    lengths[2] = writev(STDERR_FILENO, pieces, 25);

    for (int i = 0; i < LARGE; i++)
        large[i] = i % 64 == 63 ? '\n' : (char)('0' + i / 64 % 10);
    lengths[3] = write(STDOUT_FILENO, large, LARGE);
    lengths[4] = write(STDOUT_FILENO, large, 1);
    write(STDOUT_FILENO, "\n", 1);
    for (int i = 0; i < 5; i++)
        printf("length %zd\n", lengths[i]);
    return 0;
}
