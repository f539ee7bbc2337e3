/* arguments.c: a module's command line as the argv of a program. Called by program.c; tests run it on the host.
 * SPDX-License-Identifier: MIT
 *
 * GRUB joins the words with blanks; one that has a blank in it comes in quotes, and a backslash stands before each
 * quote or backslash of its own. Source: GRUB manual, "Quoting". */
#include <kernel/program.h>

/* Appends the word at the start of the line. Returns where it ends there. */
static const char *take_word(struct arguments *arguments, const char *line) {
    char quote = 0;
    for (; *line && (quote || *line != ' '); line++) {
        if (*line == quote) {
            quote = 0;
        } else if (!quote && (*line == '"' || *line == '\'')) {
            quote = *line;
        } else {
            if (*line == '\\' && line[1] && quote != '\'')
                line++;
            arguments->text[arguments->size++] = *line;
        }
    }
    arguments->text[arguments->size++] = '\0';
    return line;
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
    if (strlen(line) >= ARGUMENTS_SIZE) /* no word gets longer by losing its quotes */
        return "its command line is too long";
    for (;;) {
        while (*line == ' ')
            line++;
        if (!*line)
            break;
        unsigned start = arguments->size;
        line = take_word(arguments, line);
        unsigned n = arguments->count == 1 && !*copies ? parse_copies(arguments->text + start) : 0;
        if (n) {
            *copies = n;
            arguments->size = start;
        } else {
            arguments->count++;
        }
    }
    *copies = *copies ? *copies : 1;
    return NULL;
}

void arguments_join(struct arguments *arguments) {
    for (unsigned i = 0; i + 1 < arguments->size; i++)
        if (!arguments->text[i])
            arguments->text[i] = ' ';
}
