/* program.c: loads the boot loader's modules as programs, and lays out their first stack. Called by task.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.h>
#include <kernel/task.h>

/* Types of the auxiliary vector. Source: System V ABI, AMD64 supplement, "Auxiliary Vector"; the rest by Linux. */
enum { AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_ENTRY = 9, AT_SECURE = 23, AT_RANDOM = 25 };

static const struct multiboot2_info *boot_info;
static const struct multiboot2_module *module; /* the last one that was looked at */
static unsigned module_number;

void program_init(const struct multiboot2_info *info) { boot_info = info; }

static const char *load_segments(struct address_space *space, const struct elf *elf) {
    struct elf_segment s;
    for (unsigned n = 0; n < elf->program_header_count; n++) {
        if (!elf_segment(elf, n, &s))
            continue;
        uint64_t start = page_align_down(s.address), end = page_align_up(s.address + s.memory_size);
        /* What is there at all can be read: the page tables know no less. */
        unsigned prot = PROT_READ | (s.flags & ELF_PF_W ? PROT_WRITE : 0) | (s.flags & ELF_PF_X ? PROT_EXEC : 0);
        if (!user_map(space, start, end - start, prot))
            return "not enough memory";
        user_fill(space, s.address, elf->file + s.offset, s.file_size);
    }
    space->brk_start = space->brk = elf->end;
    return NULL;
}

/* argc, argv, NULL, NULL (no environment), the auxiliary vector; above them what they point to. */
static uint64_t fill_stack(struct address_space *space, const struct arguments *arguments, const struct elf *elf) {
    uint64_t strings = USER_STACK_TOP - arguments->size;
    /* 16 bytes that no two tasks share; a program that needs secrets needs another kernel. */
    uint64_t seed = rdtsc() * 0x9e3779b97f4a7c15, random[2] = {seed, seed ^ seed >> 29};
    uint64_t random_at = (strings - sizeof(random)) & ~15ul;
    uint64_t auxiliary[][2] = {
        {AT_PHDR, elf->headers_address},
        {AT_PHENT, sizeof(struct elf_segment)},
        {AT_PHNUM, elf->program_header_count},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_ENTRY, elf->entry},
        {AT_SECURE, 0},
        {AT_RANDOM, random_at},
        {0, 0}, /* AT_NULL */
    };
    uint64_t words = 1 + arguments->count + 2;
    uint64_t rsp = (random_at - sizeof(auxiliary) - words * 8) & ~15ul;
    uint64_t argc = arguments->count, at = rsp + 8;
    user_fill(space, strings, arguments->text, arguments->size);
    user_fill(space, random_at, random, sizeof(random));
    user_fill(space, rsp, &argc, 8);
    for (unsigned i = 0; i < arguments->size; at += 8) {
        uint64_t address = strings + i;
        user_fill(space, at, &address, 8);
        i += strlen(arguments->text + i) + 1;
    }
    user_fill(space, rsp + words * 8, auxiliary, sizeof(auxiliary));
    return rsp;
}

/* NULL, or the reason why the module cannot be loaded. */
static const char *load(struct task *task) {
    struct elf elf;
    if (module->end <= module->start)
        return "it is empty";
    uint32_t size = module->end - module->start;
    const void *file = map_physical(module->start, size, PTE_NX); /* mapped already, if what the loader says is true */
    const char *error = file ? elf_check(&elf, file, size) : "not enough memory";
    if (!error)
        error = load_segments(&task->space, &elf);
    if (error)
        return error;
    if (!user_map(&task->space, USER_STACK_LOW, USER_STACK_SIZE, PROT_READ | PROT_WRITE))
        return "not enough memory";
    uint64_t rsp = fill_stack(&task->space, &task->arguments, &elf);
    task->start = (struct trap_frame){
        .rip = elf.entry, .cs = SEL_USER_CODE, .rflags = RFLAGS_IF | RFLAGS_ONE, .rsp = rsp, .ss = SEL_USER_DATA};
    arguments_join(&task->arguments);
    return NULL;
}

/* The module as a task of its own; NULL, and a line that says why, if it cannot be. */
static struct task *load_module(void) {
    const char *line = multiboot2_string(&module->tag, module->string);
    struct task *task = task_create();
    const char *error = task ? arguments_parse(&task->arguments, line) : "not enough memory";
    if (!error && !task->arguments.count)
        error = arguments_parse(&task->arguments, "module"); /* every program has a name */
    if (!error)
        error = load(task);
    if (!error)
        return task;
    printk("module %u (%s): not loaded: %s\n", module_number, line, error);
    if (task)
        task_destroy(task);
    return NULL;
}

struct task *program_next(void) {
    struct task *task = NULL;
    while (!task && (module = multiboot2_find(boot_info, MULTIBOOT2_MODULE, module))) {
        module_number++;
        task = load_module();
    }
    return task;
}
