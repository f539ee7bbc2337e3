/* arguments.c: a module's command line as the argv of a program. Called by program.c; tests run it on the host.
 * SPDX-License-Identifier: MIT
 *
 * GRUB joins the words with blanks; one that has a blank in it comes in quotes, and a backslash stands before each
 * quote or backslash of its own. Source: GRUB manual, "Quoting". */
#include <kernel/program.h>

const char *arguments_parse(struct arguments *arguments, const char *line) {
    arguments->count = arguments->size = 0;
    if (strlen(line) >= ARGUMENTS_SIZE) /* no word gets longer by losing its quotes */
        return "its command line is too long";
    for (;;) {
        while (*line == ' ')
            line++;
        if (!*line)
            return NULL;
        bool quoted = false;
        for (; *line && (quoted || *line != ' '); line++) {
            if (*line == '\\' && line[1])
                arguments->text[arguments->size++] = *++line;
            else if (*line == '"')
                quoted = !quoted;
            else
                arguments->text[arguments->size++] = *line;
        }
        arguments->text[arguments->size++] = '\0';
        arguments->count++;
    }
}

void arguments_join(struct arguments *arguments) {
    for (unsigned i = 0; i + 1 < arguments->size; i++)
        if (!arguments->text[i])
            arguments->text[i] = ' ';
}
