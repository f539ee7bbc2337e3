/* command_line.c: the words after the kernel's name. Used by main.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/command_line.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <stddef.h>

static const char *line = "";

/* The next word at or after `from`; its length in *length, 0 at the end of the line. */
static const char *next_word(const char *from, size_t *length)
{
    while (*from == ' ')
        from++;
    for (*length = 0; from[*length] && from[*length] != ' '; ++*length)
        ;
    return from;
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

bool command_line_has(const char *word)
{
    size_t length;
    for (const char *w = next_word(line, &length); length; w = next_word(w + length, &length))
        if (is_word(w, length, word))
            return true;
    return false;
}

static void warn_unknown(const char *word, size_t length)
{
    char shown[40] = {0}; /* printk has no maximum width */
    memcpy(shown, word, length < sizeof(shown) ? length : sizeof(shown) - 1);
    printk("warning: unknown word '%s' on the kernel command line\n", shown);
}

void command_line_init(const struct multiboot2_info *info, const char *const *known)
{
    size_t length;
    const struct multiboot2_command_line *tag = multiboot2_find(info, MULTIBOOT2_COMMAND_LINE, NULL);
    if (tag)
        line = multiboot2_string(&tag->tag, tag->string);
    for (const char *w = next_word(line, &length); length; w = next_word(w + length, &length)) {
        const char *const *k = known;
        while (*k && !is_word(w, length, *k))
            k++;
        if (!*k)
            warn_unknown(w, length);
    }
}
