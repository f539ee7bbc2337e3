/* A program that breaks a rule of the CPU on purpose; its argument says which (a page fault without one).
 * Each exception must end this program and leave the kernel and the other programs alone. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

/* An address of the kernel: mapped, but for ring 0 only. */
#define KERNEL_ADDRESS 0xffff800000000000 /* mapped, but for ring 0 */

static void divide_error(void) {
    asm volatile("xor edx, edx; xor ecx, ecx; mov eax, 1; div ecx" : : : "eax", "ecx", "edx");
}

static void breakpoint(void) { asm volatile("int3"); }

static void undefined_opcode(void) { asm volatile("ud2"); }

static void privileged_instruction(void) { asm volatile("cli"); }

static void port_access(void) { asm volatile("in al, 0x60" : : : "eax"); /* the keyboard's data */ }

static void page_fault(void) { asm volatile("mov dword ptr [%0], 1" : : "r"(16L) : "memory"); }

static void kernel_read(void) { asm volatile("mov eax, [%0]" : : "r"(KERNEL_ADDRESS) : "eax"); }

static void forged_page_fault(void) { asm volatile("int 14"); /* the gate of #PF, which only the CPU itself may use */ }

static const struct {
    const char *name;
    const char *what;
    void (*provoke)(void);
} faults[] = {
    {"pf", "writes to address 16 (#PF)", page_fault},
    {"de", "divides by zero (#DE)", divide_error},
    {"bp", "executes int3 (#BP)", breakpoint},
    {"ud", "executes ud2 (#UD)", undefined_opcode},
    {"gp", "executes cli in ring 3 (#GP)", privileged_instruction},
    {"port", "reads I/O port 0x60 (#GP)", port_access},
    {"kernel", "reads kernel memory (#PF)", kernel_read},
    {"int14", "calls the gate of #PF with int 14 (#GP)", forged_page_fault},
};

int main(int argc, char **argv) {
    const char *wanted = argc > 1 ? argv[1] : "pf";

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strcmp(wanted, faults[i].name) != 0)
            continue;
        printf("fault: %s\n", faults[i].what);
        faults[i].provoke();
        printf("fault: still alive, which must not be\n");
        return 1;
    }
    printf("fault: no fault is called \"%s\"\n", wanted);
    return 2;
}
