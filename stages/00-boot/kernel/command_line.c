/* command_line.c: the words after the kernel's name in the boot loader's menu. Used by main.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

static const char *line = "";

static size_t word_length(const char *word) {
    size_t length = 0;
    while (word[length] && word[length] != ' ')
        length++;
    return length;
}

static bool same_word(const char *a, const char *b) {
    return word_length(a) == word_length(b) && memcmp(a, b, word_length(a)) == 0;
}

/* Where the word after this one begins, or the end of the line. */
static const char *next_word(const char *word) {
    for (word += word_length(word); *word == ' '; word++)
        ;
    return word;
}

bool command_line_has(const char *word) {
    for (const char *w = line; *w; w = next_word(w))
        if (same_word(w, word))
            return true;
    return false;
}

void command_line_init(const struct multiboot2_info *info, const char *const *known) {
    const struct multiboot2_command_line *tag = multiboot2_find(info, MULTIBOOT2_COMMAND_LINE, NULL);
    line = tag ? multiboot2_string(&tag->tag, tag->string) : "";
    line += *line == ' ' ? next_word(line) - line : 0;
    for (const char *w = line; *w; w = next_word(w)) {
        unsigned k = 0;
        char shown[40] = "";
        while (known[k] && !same_word(w, known[k]))
            k++;
        memcpy(shown, w, word_length(w) < sizeof(shown) ? word_length(w) : sizeof(shown) - 1);
        if (!known[k])
            printk("warning: unknown word '%s' on the kernel command line\n", shown);
    }
}
