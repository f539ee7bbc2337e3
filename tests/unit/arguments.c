/* arguments.c: a module's command line as argv, with GRUB's way of quoting.
 * SPDX-License-Identifier: MIT */
#include <unit/check.h>
#include <kernel/arguments.c>

static struct arguments arguments;

/* The n-th word. */
static const char *argument(unsigned n) {
    const char *text = arguments.text;
    CHECK(n < arguments.count);
    while (n--)
        text += strlen(text) + 1;
    return text;
}

/* Parses a copy that ends where memory ends. */
static const char *parse(const char *line) {
    char *copy = exact_copy(line, strlen(line) + 1);
    memset(&arguments, 0xee, sizeof(arguments));
    const char *error = arguments_parse(&arguments, copy);
    free_copy(copy, strlen(line) + 1);
    if (!error) { /* as many NULs as words */
        unsigned nuls = 0;
        CHECK(arguments.size <= ARGUMENTS_SIZE);
        for (unsigned i = 0; i < arguments.size; i++)
            nuls += !arguments.text[i];
        CHECK_EQUAL(nuls, arguments.count);
    }
    return error;
}

/* The words with blanks between. */
static const char *joined(void) {
    arguments_join(&arguments);
    return arguments.size ? arguments.text : "";
}

static void test_words(void) {
    CHECK_TEXT(parse(""), NULL);
    CHECK_EQUAL(arguments.count, 0);
    CHECK_TEXT(joined(), "");
    CHECK_TEXT(parse("   "), NULL);
    CHECK_EQUAL(arguments.count, 0);
    CHECK_TEXT(parse("  hello   one\ttwo  "), NULL);
    CHECK_EQUAL(arguments.count, 2);
    CHECK_TEXT(argument(0), "hello");
    CHECK_TEXT(argument(1), "one\ttwo"); /* GRUB puts blanks between words, and nothing else */
    CHECK_TEXT(joined(), "hello one\ttwo");
}

static void test_quotes(void) {
    CHECK_TEXT(parse("a \"b c\" d\\\"e \\\\ f' \"it's \\\"so\\\"\""), NULL);
    CHECK_EQUAL(arguments.count, 6);
    /* mutant kernel/arguments.c: quoted = !quoted; => quoted = true; */
    /* mutant kernel/arguments.c: (quoted || *line != ' ') => *line != ' ' */
    CHECK_TEXT(argument(1), "b c");
    CHECK_TEXT(argument(2), "d\"e");
    CHECK_TEXT(argument(3), "\\");
    /* GRUB never writes single quotes around a word, so they are characters like others. */
    /* mutant kernel/arguments.c: else if (*line == '"') => else if (*line == '"' || *line == '\'') */
    CHECK_TEXT(argument(4), "f'");
    CHECK_TEXT(argument(5), "it's \"so\"");
    CHECK_TEXT(parse("a\"b c\"d \"\""), NULL);
    CHECK_EQUAL(arguments.count, 2);
    CHECK_TEXT(argument(0), "ab cd");
    CHECK_TEXT(argument(1), "");
    /* What has no end, ends with the line. */
    CHECK_TEXT(parse("a \"b c"), NULL);
    CHECK_EQUAL(arguments.count, 2);
    CHECK_TEXT(argument(1), "b c");
    /* mutant kernel/arguments.c: *line == '\\' && line[1]) => *line == '\\') */
    CHECK_TEXT(parse("a b\\"), NULL);
    CHECK_TEXT(argument(1), "b\\");
}

/* As GRUB writes one word: in quotes if it has a blank, with a backslash before quotes and backslashes.
 * Source: grub-core/lib/cmdline.c, by observation of what arrives. */
static size_t quote_as_grub(char *to, const char *text) {
    char *at = to;
    bool blank = strchr(text, ' ');
    if (blank)
        *at++ = '"';
    for (; *text; text++) {
        if (strchr("\\'\"", *text))
            *at++ = '\\';
        *at++ = *text;
    }
    if (blank)
        *at++ = '"';
    *at = '\0';
    return (size_t)(at - to);
}

/* Whatever the words, they come back. */
static void test_any_words(void) {
    for (unsigned round = 0; round < 20000; round++) {
        char words[8][16], line[512] = "";
        size_t length = 0;
        unsigned count = 1 + (unsigned)any_below(8);
        for (unsigned n = 0; n < count; n++) {
            size_t size = 1 + any_below(14);
            for (size_t i = 0; i < size; i++)
                words[n][i] = "abc=1 \\'\"\t\xff"[any_below(11)];
            words[n][size] = '\0';
            length += quote_as_grub(line + length, words[n]);
            line[length++] = ' ';
        }
        line[length] = '\0';
        CHECK_TEXT(parse(line), NULL);
        CHECK_EQUAL(arguments.count, count);
        for (unsigned n = 0; n < count; n++)
            CHECK_TEXT(argument(n), words[n]);
    }
}

static void test_too_long(void) {
    char line[ARGUMENTS_SIZE + 2];
    for (size_t length = ARGUMENTS_SIZE - 3; length <= ARGUMENTS_SIZE + 1; length++) {
        memset(line, 'x', length);
        line[length] = '\0';
        /* mutant kernel/arguments.c: strlen(line) >= ARGUMENTS_SIZE => strlen(line) > ARGUMENTS_SIZE */
        CHECK_TEXT(parse(line), length < ARGUMENTS_SIZE ? NULL : "its command line is too long");
        memset(line, '"', length);
        CHECK_TEXT(parse(line), length < ARGUMENTS_SIZE ? NULL : "its command line is too long");
        for (size_t i = 0; i < length; i++)
            line[i] = i % 2 ? ' ' : 'y';
        CHECK_TEXT(parse(line), length < ARGUMENTS_SIZE ? NULL : "its command line is too long");
    }
}

int main(void) {
    test_words();
    test_quotes();
    test_any_words();
    test_too_long();
    return 0;
}
