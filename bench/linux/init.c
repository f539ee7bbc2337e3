/* freestanding: the first program of a Linux machine that is measured. The kernel's command line names phases, each a
 * scheduling class and then programs as tools/boot writes them: SCHED_OTHER calls SCHED_FIFO "calls copies=2 yield".
 * The programs of a phase are let go together; when all have ended, the next begins; at last the machine is switched
 * off. tools/measure/linux.py makes that command line. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

enum {
    SYS_read = 0,
    SYS_close = 3,
    SYS_pipe = 22,
    SYS_fork = 57,
    SYS_execve = 59,
    SYS_wait4 = 61,
    SYS_sched_setscheduler = 144,
    SYS_reboot = 169,
};
enum { SCHED_OTHER = 0, SCHED_FIFO = 1 };
enum { PRIORITY_PROGRAMS = 1, PRIORITY_INIT = 2, MOST_WORDS = 32, CANNOT_START = 127 };

#define REBOOT_MAGIC     0xfee1dead
#define REBOOT_MAGIC2    672274793
#define REBOOT_POWER_OFF 0x4321fedc

static const char *const names[] = {[SCHED_OTHER] = "SCHED_OTHER", [SCHED_FIFO] = "SCHED_FIFO"};
static bool failed;

static bool is_class(const char *word) {
    return same_text(word, names[SCHED_OTHER]) || same_text(word, names[SCHED_FIFO]);
}

static void complain(const char *name, const char *what, uint64_t number) {
    print("init: ");
    print(name);
    print(what);
    print_number(number);
    print("\n");
    failed = true;
}

static bool set_class(int class, int priority) {
    long error = system_call(SYS_sched_setscheduler, 0, class, (long)&priority, 0, 0, 0);

    if (error)
        complain("sched_setscheduler", " gives error ", (uint64_t)-error);
    return !error;
}

/* Splits a line at its blanks, in place. */
static void split(char *line, char *words[MOST_WORDS + 1]) {
    unsigned count = 0;

    while (count < MOST_WORDS) {
        while (*line == ' ')
            *line++ = '\0';
        if (!*line)
            break;
        words[count++] = line;
        while (*line && *line != ' ')
            line++;
    }
    words[count] = NULL;
}

/* Takes the word copies=N behind the program's name out of its arguments. */
static uint64_t take_copies(char **words) {
    static const char key[] = "copies=";
    unsigned n = 0;

    if (!words[0] || !words[1])
        return 1;
    while (key[n] && words[1][n] == key[n])
        n++;
    if (key[n])
        return 1;
    uint64_t copies = parse(words[1] + n, 10);
    for (unsigned at = 1; words[at]; at++)
        words[at] = words[at + 1];
    return copies;
}

/* In the child: waits until nobody can write to the pipe any more, which is when all children are here and init has
 * closed its end, and becomes the program. */
__attribute__((noreturn)) static void become(char **words, const int gate[2], int class) {
    char *const no_environment[] = {NULL};
    char byte;

    if (!set_class(class, class == SCHED_FIFO ? PRIORITY_PROGRAMS : 0))
        system_call(SYS_exit_group, CANNOT_START, 0, 0, 0, 0, 0);
    system_call(SYS_close, gate[1], 0, 0, 0, 0, 0);
    system_call(SYS_read, gate[0], (long)&byte, 1, 0, 0, 0);
    system_call(SYS_close, gate[0], 0, 0, 0, 0, 0);
    long error = system_call(SYS_execve, (long)words[0], (long)words, (long)no_environment, 0, 0, 0);

    complain(words[0], " cannot be started: error ", (uint64_t)-error);
    for (;;)
        system_call(SYS_exit_group, CANNOT_START, 0, 0, 0, 0, 0);
}

static void start_line(char *line, const int gate[2], int class) {
    char *words[MOST_WORDS + 1];

    split(line, words);
    for (uint64_t copies = words[0] ? take_copies(words) : 0; copies; copies--) {
        long child = system_call(SYS_fork, 0, 0, 0, 0, 0, 0);

        if (!child)
            become(words, gate, class);
        if (child < 0)
            complain(words[0], " cannot be forked: error ", (uint64_t)-child);
    }
}

static void wait_for_all(void) {
    for (;;) {
        int status = 0;
        long child = system_call(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);

        if (child < 0)
            return;
        if (status)
            complain("a program", " ended with status ", (uint64_t)(unsigned)status);
    }
}

/* Runs what stands behind the name of the class, up to the next one; gives where that is. */
static char **run_phase(char **line) {
    int class = same_text(*line, names[SCHED_FIFO]) ? SCHED_FIFO : SCHED_OTHER;
    int gate[2];

    print("init: ");
    print(*line);
    print("\n");
    long error = system_call(SYS_pipe, (long)gate, 0, 0, 0, 0, 0);
    if (error)
        complain("pipe", " gives error ", (uint64_t)-error);
    /* Above the programs of SCHED_FIFO, so that none of them runs before all are there. */
    set_class(class, class == SCHED_FIFO ? PRIORITY_INIT : 0);
    for (line++; *line && !is_class(*line); line++)
        start_line(*line, gate, class);
    system_call(SYS_close, gate[0], 0, 0, 0, 0, 0);
    system_call(SYS_close, gate[1], 0, 0, 0, 0, 0);
    wait_for_all();
    return line;
}

static int start(int argc, char **argv) {
    char **line = argv + 1;

    print("init: here\n");
    if (argc > 1 && !is_class(*line)) {
        complain(*line, " is no scheduling class, but word 1 of ", (uint64_t)argc - 1);
        line = argv + argc;
    }
    while (*line)
        line = run_phase(line);
    print(failed ? "init: failed\n" : "init: all have ended\n");
    /* Nobody else is to switch off a machine: a test runs this file on the host. */
    if (get_pid() == 1)
        system_call(SYS_reboot, (long)REBOOT_MAGIC, REBOOT_MAGIC2, REBOOT_POWER_OFF, 0, 0, 0);
    return failed;
}
