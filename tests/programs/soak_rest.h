/* What soak does between its looks at the registers: it keeps memory, sleeps, gives way, and ends by a fault. Included
 * once by soak.c, which has same() and next_pattern(). */
/* SPDX-License-Identifier: MIT */
#pragma once

#define PAGES                 4
#define WORDS                 (PAGES * 4096 / 8)
#define REMAP_ONE_IN          32
#define PROT_READ_WRITE       3
#define MAP_PRIVATE_ANONYMOUS 0x22

/* Its own memory, where word n holds words_key * n; anew from time to time, when it must be zero. NULL: there is none
 * left in the machine. */
static uint64_t *words, words_key;

static bool zeros(void) {
    for (size_t n = 0; n < WORDS; n++)
        if (!same("a word of a new page", 0, words[n]))
            return false;
    return true;
}

static bool survive_in_memory(void) {
    for (size_t n = 0; words && n < WORDS; n++)
        if (!same("a word of memory", words_key * n, words[n]))
            return false;
    if (words && next_pattern() % REMAP_ONE_IN)
        return true;
    if (words &&
        !same("the answer of munmap", 0, (uint64_t)system_call(SYS_munmap, (long)words, 8 * WORDS, 0, 0, 0, 0)))
        return false;
    long address = system_call(SYS_mmap, 0, 8 * WORDS, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    words = address < 0 ? NULL : (uint64_t *)address;
    if (words && !zeros())
        return false;
    words_key = next_pattern();
    for (size_t n = 0; words && n < WORDS; n++)
        words[n] = words_key * n;
    return true;
}

/* Up to two milliseconds, or only a turn. */
static void rest(void) {
    uint64_t lot = next_pattern() >> 20;
    uint64_t nap[2] = {0, (lot >> 2) % 2000000};

    if (lot % 4 == 0)
        system_call(SYS_nanosleep, (long)nap, 0, 0, 0, 0, 0);
    else if (lot % 4 == 1)
        system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void end_by(const char *name) {
    if (same_text(name, "ud"))
        asm volatile("ud2");
    if (same_text(name, "de"))
        asm volatile("xor ecx, ecx\n div ecx" : : : "rax", "rcx", "rdx", "cc");
    if (same_text(name, "pf"))
        asm volatile("xor eax, eax\n mov [rax], al" : : : "rax", "cc", "memory");
}
