/* command_line.c: any bytes as the kernel's command line, against a second way to split it.
 * SPDX-License-Identifier: MIT */
#include <fuzz/fuzz.h>
#include <stdarg.h>
#include <kernel/multiboot2.c>
#include <kernel/command_line.c>

#define MOST 4096

static const char *const known[] = {"selftest", "poweroff", "overflow", NULL};
static char printed[64 * MOST], wanted[64 * MOST];
static size_t printed_size;

void printk(const char *format, ...) {
    va_list list;
    va_start(list, format);
    printed_size += (size_t)vsnprintf(printed + printed_size, sizeof(printed) - printed_size, format, list);
    va_end(list);
    CHECK(printed_size < sizeof(printed));
}

/* The line as one text behind a header, with nothing behind it that could be read. */
static struct multiboot2_info *make_information(const uint8_t *data, size_t size) {
    struct multiboot2_info head = {(uint32_t)(sizeof(head) + sizeof(struct multiboot2_tag) + size), 0};
    struct multiboot2_tag tag = {MULTIBOOT2_COMMAND_LINE, (uint32_t)(sizeof(tag) + size)};
    uint8_t *copy = malloc(head.total_size);
    memcpy(copy, &head, sizeof(head));
    memcpy(copy + sizeof(head), &tag, sizeof(tag));
    if (size)
        memcpy(copy + sizeof(head) + sizeof(tag), data, size);
    return (struct multiboot2_info *)copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > MOST)
        return 0;
    /* mutant kernel/multiboot2.c: return ""; => return string; */
    struct multiboot2_info *info = make_information(data, size);
    char line[MOST + 1] = "";
    bool present[3] = {false, false, false};
    size_t wanted_size = 0;
    if (memchr(data, 0, size)) /* a line without an end is none */
        memcpy(line, data, size);
    printed[0] = wanted[0] = '\0';
    printed_size = 0;
    command_line_init(info, known);
    for (char *rest = line, *word; (word = strsep(&rest, " "));) {
        unsigned k = 0;
        while (known[k] && strcmp(word, known[k]))
            k++;
        if (known[k])
            present[k] = true;
        else if (*word)
            wanted_size += (size_t)snprintf(wanted + wanted_size, sizeof(wanted) - wanted_size,
                                            "warning: unknown word '%s' on the kernel command line\n", word);
        /* mutant kernel/command_line.c: strlen(a) == strlen(b) && => */
        /* mutant kernel/command_line.c: for (size = 0; line[size]; size++) => for (size = 0; line[size]; size += 2) */
        CHECK(!*word || command_line_has(word));
    }
    CHECK_TEXT(printed, wanted);
    for (unsigned k = 0; known[k]; k++)
        CHECK(command_line_has(known[k]) == present[k]);
    free(info);
    return 0;
}
