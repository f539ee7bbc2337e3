/* command_line.c: the words on the kernel's command line, and the warning about those that nobody knows.
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <unit/information.h>
#include <kernel/multiboot2.c>
#include <kernel/command_line.c>

static struct information info, other;
static char printed[4000];

void printk(const char *format, ...) {
    va_list list;
    va_start(list, format);
    size_t length = strlen(printed);
    vsnprintf(printed + length, sizeof(printed) - length, format, list);
    va_end(list);
}

static const char *const known[] = {"selftest", "poweroff", NULL};

/* What is printed about a line. */
static const char *warnings(const char *text) {
    information_begin(&info);
    information_add_line(&info, text);
    information_end(&info);
    printed[0] = '\0';
    command_line_init(&info.head, known);
    return printed;
}

#define WARNING(word) "warning: unknown word '" word "' on the kernel command line\n"

static void test_known(void) {
    /* mutant kernel/command_line.c: line[size] = '\0'; => ; */
    /* mutant kernel/command_line.c: for (size = 0; => for (size = 1; */
    /* mutant kernel/command_line.c: if (*w && => if ( */
    CHECK_TEXT(warnings(""), "");
    CHECK(!command_line_has("selftest"));
    CHECK_TEXT(warnings("  selftest   poweroff "), "");
    CHECK(command_line_has("selftest") && command_line_has("poweroff"));
    CHECK_TEXT(warnings("poweroff"), "");
    CHECK(!command_line_has("selftest") && command_line_has("poweroff"));
}

static void test_unknown(void) {
    CHECK_TEXT(warnings("quiet selftest splash"), WARNING("quiet") WARNING("splash"));
    CHECK(command_line_has("selftest"));
    /* A part of a word, or more than it, is another word. */
    /* mutant kernel/command_line.c: strlen(a) == strlen(b) && => */
    CHECK_TEXT(warnings("self selftests"), WARNING("self") WARNING("selftests"));
    CHECK(!command_line_has("selftest"));
    /* Nor does a word go on with what is left of the line before. */
    CHECK_TEXT(warnings("poweroff"), "");
    CHECK_TEXT(warnings("power"), WARNING("power"));
    CHECK(!command_line_has("poweroff"));
}

/* However long the line is, each word counts. */
static void test_long(void) {
    for (size_t length = 250; length < 3000; length += length < 270 ? 1 : 700) {
        char text[3000], wanted[3100];
        memset(text, 'x', length);
        text[length] = '\0';
        memcpy(text + length - 9, " selftest", 9);
        snprintf(wanted, sizeof(wanted), "warning: unknown word '%.*s' on the kernel command line\n", (int)length - 9, text);
        CHECK_TEXT(warnings(text), wanted);
        CHECK(command_line_has("selftest"));
    }
}

/* No such tag, and one without an end: no words, no warning, and the line of before does not stay. */
static void test_ill_made(void) {
    information_begin(&info);
    information_add_true(&info, MULTIBOOT2_COMMAND_LINE, "selftest", 8);
    information_end(&info);
    printed[0] = '\0';
    command_line_init(&info.head, known);
    CHECK_TEXT(printed, "");
    CHECK(!command_line_has("selftest"));
    warnings("selftest");
    information_begin(&other);
    information_end(&other);
    /* mutant kernel/command_line.c: : ""; for => : line; for */
    command_line_init(&other.head, known);
    CHECK(!command_line_has("selftest"));
}

int main(void) {
    test_known();
    test_unknown();
    test_long();
    test_ill_made();
    return 0;
}
