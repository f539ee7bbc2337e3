/* arguments.c: a module's command line as argv, with GRUB's way of quoting.
 * SPDX-License-Identifier: MIT */
#include <unit/check.h>
#include <kernel/arguments.c>

static struct arguments arguments;
static unsigned copies;

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
    const char *error = arguments_parse(&arguments, copy, &copies);
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
    CHECK_EQUAL(copies, 1);
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
    CHECK_TEXT(parse("a \"b c\" d\\\"e \\\\ 'f \\' \"it's\""), NULL);
    CHECK_EQUAL(arguments.count, 6);
    /* mutant kernel/arguments.c: if (*line == quote) => if (0) */
    CHECK_TEXT(argument(1), "b c");
    CHECK_TEXT(argument(2), "d\"e");
    CHECK_TEXT(argument(3), "\\");
    /* mutant kernel/arguments.c: && quote != '\'' => */
    CHECK_TEXT(argument(4), "f \\");
    /* mutant kernel/arguments.c: else if (!quote && (*line == '"' => else if ((*line == '"' */
    CHECK_TEXT(argument(5), "it's");
    CHECK_TEXT(parse("a\"b c\"d ''"), NULL);
    CHECK_EQUAL(arguments.count, 2);
    CHECK_TEXT(argument(0), "ab cd");
    CHECK_TEXT(argument(1), "");
    /* What has no end, ends with the line. */
    CHECK_TEXT(parse("a \"b c"), NULL);
    CHECK_EQUAL(arguments.count, 2);
    CHECK_TEXT(argument(1), "b c");
    /* mutant kernel/arguments.c: *line == '\\' && line[1] && => *line == '\\' && */
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

static void check_copies(const char *line, unsigned wanted, const char *words) {
    CHECK_TEXT(parse(line), NULL);
    CHECK_EQUAL(copies, wanted);
    CHECK_TEXT(joined(), words);
}

static void test_copies(void) {
    check_copies("prog copies=3 a b", 3, "prog a b");
    check_copies("prog copies=9999", 9999, "prog");
    check_copies("prog copies=1 a", 1, "prog a");
    check_copies("prog \"copies=2\"", 2, "prog"); /* GRUB quotes or not as it likes */
    /* It has to stand before the program's own arguments, behind its name. */
    check_copies("prog a copies=3", 1, "prog a copies=3");
    /* mutant kernel/arguments.c: arguments->count == 1 => arguments->count <= 1 */
    check_copies("copies=3 a", 1, "copies=3 a");
    check_copies("prog copies=3 copies=4", 3, "prog copies=4");
    /* mutant kernel/arguments.c: || n > 999) => ) */
    static const char *const others[] = {"copies=",   "copies=0",  "copies=10000", "copies=99999999999999999999",
                                         "copies=-1", "copies=3x", "copies= 3",    "copies",
                                         "Copies=3",  "copies=0x3"};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "prog %s", others[i]);
        check_copies(line, 1, line);
    }
}

/* The program's own argument may look like ours, once ours was there. */
static void test_copies_once(void) { check_copies("prog copies=1 copies=5", 1, "prog copies=5"); }

static void test_too_long(void) {
    char line[ARGUMENTS_SIZE + 2];
    for (size_t length = ARGUMENTS_SIZE - 3; length <= ARGUMENTS_SIZE + 1; length++) {
        memset(line, 'x', length);
        line[length] = '\0';
        /* mutant kernel/arguments.c: strlen(line) >= ARGUMENTS_SIZE => strlen(line) > ARGUMENTS_SIZE */
        CHECK_TEXT(parse(line), length < ARGUMENTS_SIZE ? NULL : "its command line is too long");
        memset(line, '\'', length);
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
    test_copies();
    test_too_long();
    test_copies_once();
    return 0;
}
