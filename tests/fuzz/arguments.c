/* arguments.c: any text as a module's command line, against a second way to split it; and what comes of it, quoted anew,
 * gives the same words.
 * SPDX-License-Identifier: MIT */
#include <fuzz/fuzz.h>
#include <kernel/arguments.c>

static struct arguments arguments, again;

/* One character of a word after another; what stands for itself is told from what quotes. */
static unsigned split(const char *line, char *text, unsigned *size) {
    unsigned count = 0;
    bool quoted = false, inside = false;
    *size = 0;
    for (size_t i = 0; line[i]; i++) {
        if (line[i] == ' ' && !quoted) {
            if (inside)
                text[(*size)++] = '\0';
            inside = false;
            continue;
        }
        count += !inside;
        inside = true;
        if (line[i] == '"')
            quoted = !quoted;
        else if (line[i] == '\\' && line[i + 1])
            text[(*size)++] = line[++i];
        else
            text[(*size)++] = line[i];
    }
    if (inside)
        text[(*size)++] = '\0';
    return count;
}

/* All words in quotes, as GRUB could write them. */
static void quote(char *to) {
    for (unsigned i = 0; i < arguments.size; i += (unsigned)strlen(arguments.text + i) + 1) {
        *to++ = '"';
        for (const char *c = arguments.text + i; *c; *to++ = *c++)
            if (strchr("\\\"'", *c))
                *to++ = '\\';
        *to++ = '"';
        *to++ = ' ';
    }
    *to = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[ARGUMENTS_SIZE + 1], quoted[4 * ARGUMENTS_SIZE];
    unsigned wanted_size = 0;
    if (memchr(data, 0, size))
        return 0;
    char *line = malloc(size + 1);
    memcpy(line, data, size);
    line[size] = '\0';
    memset(&arguments, 0xee, sizeof(arguments));
    const char *error = arguments_parse(&arguments, line);
    /* mutant kernel/arguments.c: strlen(line) >= ARGUMENTS_SIZE => strlen(line) > 2 * ARGUMENTS_SIZE */
    CHECK(!error == (size < ARGUMENTS_SIZE));
    if (!error) {
        /* mutant kernel/arguments.c: *line == '\\' && line[1]) => *line == '\\') */
        /* mutant kernel/arguments.c: quoted = !quoted; => quoted = true; */
        CHECK_EQUAL(arguments.count, split(line, text, &wanted_size));
        CHECK_EQUAL(arguments.size, wanted_size);
        CHECK(!memcmp(arguments.text, text, wanted_size));
        quote(quoted);
        if (!arguments_parse(&again, quoted))
            CHECK(again.count == arguments.count && again.size == wanted_size &&
                  !memcmp(again.text, text, wanted_size));
        arguments_join(&arguments);
        /* mutant kernel/arguments.c: i + 1 < arguments->size => i < arguments->size */
        CHECK(!wanted_size || !arguments.text[wanted_size - 1]);
        CHECK(!wanted_size || strlen(arguments.text) == wanted_size - 1);
    }
    free(line);
    return 0;
}
