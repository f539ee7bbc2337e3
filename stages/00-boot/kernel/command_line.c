/* command_line.c: the words after the kernel's name in the boot loader's menu. Used by main.c and task.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

static char *line; /* where the boot loader has put it, with a NUL behind each word */
static size_t size;

static bool same_word(const char *a, const char *b) { return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0; }

bool command_line_has(const char *word) {
    for (const char *w = line; w < line + size; w += strlen(w) + 1)
        if (same_word(w, word))
            return true;
    return false;
}

void command_line_init(const struct multiboot2_info *info, const char *const *known) {
    const struct multiboot2_tag *tag = multiboot2_find(info, MULTIBOOT2_COMMAND_LINE, NULL);
    line = tag ? (char *)multiboot2_string(tag, (const char *)(tag + 1)) : "";
    for (size = 0; line[size]; size++)
        if (line[size] == ' ')
            line[size] = '\0';
    for (const char *w = line; w < line + size; w += strlen(w) + 1) {
        unsigned k = 0;
        while (known[k] && !same_word(w, known[k]))
            k++;
        if (*w && !known[k])
            printk("warning: unknown word '%s' on the kernel command line\n", w);
    }
}
