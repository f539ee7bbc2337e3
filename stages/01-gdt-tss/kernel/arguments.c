/* arguments.c: a module's command line as the argv of a program. Called by program.c; tests run it on the host.
 * SPDX-License-Identifier: MIT
 *
 * GRUB joins the words with blanks; one that has a blank in it comes in quotes, and a backslash stands before each
 * quote or backslash of its own. Source: GRUB manual, "Quoting". */
#include <kernel/program.h>

static bool put(struct arguments *arguments, char c) {
    if (arguments->size == ARGUMENTS_SIZE)
        return false;
    arguments->text[arguments->size++] = c;
    return true;
}

/* Appends the word at *line, and moves *line behind it. */
static bool put_word(struct arguments *arguments, const char **line) {
    char quote = 0;
    const char *c = *line;
    for (; *c && (quote || *c != ' '); c++) {
        if (*c == quote)
            quote = 0;
        else if (!quote && (*c == '"' || *c == '\''))
            quote = *c;
        else if (*c == '\\' && c[1] && quote != '\'') {
            if (!put(arguments, *++c))
                return false;
        } else if (!put(arguments, *c))
            return false;
    }
    *line = c;
    return put(arguments, '\0');
}

/* copies=N with 1 <= N <= 9999; 0 if the word is something else. */
static unsigned parse_copies(const char *word) {
    static const char prefix[] = "copies=";
    unsigned n = 0;
    if (strlen(word) < sizeof(prefix) || memcmp(word, prefix, sizeof(prefix) - 1))
        return 0;
    for (const char *digit = word + sizeof(prefix) - 1; *digit; digit++) {
        if (*digit < '0' || *digit > '9' || n > 999)
            return 0;
        n = n * 10 + (unsigned)(*digit - '0');
    }
    return n;
}

const char *arguments_parse(struct arguments *arguments, const char *line, unsigned *copies) {
    arguments->count = arguments->size = 0;
    *copies = 0;
    for (;;) {
        while (*line == ' ')
            line++;
        if (!*line)
            break;
        unsigned start = arguments->size;
        if (!put_word(arguments, &line))
            return "its command line is too long";
        unsigned n = arguments->count == 1 && !*copies ? parse_copies(arguments->text + start) : 0;
        if (n) {
            *copies = n;
            arguments->size = start;
        } else {
            arguments->count++;
        }
    }
    *copies = *copies ? *copies : 1;
    for (unsigned i = 0; i < arguments->size; i++)
        arguments->joined[i] = arguments->text[i] ? arguments->text[i] : ' ';
    arguments->joined[arguments->size ? arguments->size - 1 : 0] = '\0';
    return NULL;
}
