/* malloc, printf and qsort together: sorts numbers and words, and prints enough to show that they are in order. */
/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS 20000
#define WORDS   12

static uint32_t state = 1;

static uint32_t next_number(void) {
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort_numbers(void) {
    uint32_t *numbers = malloc(NUMBERS * sizeof *numbers);
    uint32_t sum_before = 0, sum_after = 0;

    for (int i = 0; i < NUMBERS; i++)
        sum_before += numbers[i] = next_number();
    qsort(numbers, NUMBERS, sizeof *numbers, by_value);
    for (int i = 0; i < NUMBERS; i++) {
        sum_after += numbers[i];
        if (i && numbers[i - 1] > numbers[i])
            printf("numbers %d and %d are out of order\n", i - 1, i);
        if (i % 2000 == 0)
            printf("%5d %10u 0x%08x\n", i, numbers[i], numbers[i]);
    }
    printf("sum %s\n", sum_before == sum_after ? "unchanged" : "CHANGED");
    free(numbers);
}

static void sort_words(void) {
    char *words[WORDS];

    for (int i = 0; i < WORDS; i++) {
        size_t length = 1 + next_number() % 10;
        words[i] = malloc(length + 1);
        for (size_t j = 0; j < length; j++)
            words[i][j] = (char)('a' + next_number() % 26);
        words[i][length] = '\0';
    }
    qsort(words, WORDS, sizeof *words, by_text);
    for (int i = 0; i < WORDS; i++) {
        printf("%-12s|%4zu\n", words[i], strlen(words[i]));
        free(words[i]);
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines, or the kernel's own could come between */
    sort_numbers();
    sort_words();
    return 0;
}
