/* exceptions.c: what the CPU raises arrives with its vector, its error code and an aligned stack.
 * SPDX-License-Identifier: MIT */
#include <kernel/gdt.h>
#include <kernel/kernel.h>
#include <kernel/memory.h>
#include <proof/selftest.h>
#include <test/catch.h>

#define PF_PRESENT 1 /* of the error code. Source: SDM 3A, "Page-Fault Exceptions" */
#define PF_WRITE   2
#define PF_FETCH   16

extern char text_start[], boot_stack_guard[];

static bool came(uint64_t vector, uint64_t error) {
    return caught.count == 1 && caught.frame.vector == vector && caught.frame.error == error &&
           caught.frame.cs == SEL_KERNEL_CODE;
}

static bool page_fault(uint64_t error, const void *address) {
    return came(VECTOR_PF, error) && caught.cr2 == (uint64_t)address;
}

TEST(faults_without_error_code) {
    CATCH(0, "xor eax, eax; xor ecx, ecx; xor edx, edx; div ecx");
    ok(came(0, 0), "a division by zero is vector 0");
    CATCH(6, "ud2");
    ok(came(6, 0), "an invalid opcode is vector 6");
    CATCH(VECTOR_BP, "int3");
    ok(came(VECTOR_BP, 0), "a breakpoint is vector 3");
}

TEST(faults_with_error_code) {
    CATCH(VECTOR_GP, "mov eax, 0x100; mov ds, eax");
    ok(came(VECTOR_GP, 0x100), "a selector behind the GDT is vector 13, and the error code names it");
    CATCH(VECTOR_GP, "mov eax, %1; mov ds, eax", "i"(SEL_USER_CODE32));
    ok(came(VECTOR_GP, SEL_USER_CODE32), "there is no 32-bit segment");
    CATCH(VECTOR_GP, "mov rax, %1; mov rax, [rax]", "i"(USER_TOP));
    ok(came(VECTOR_GP, 0), "an address that is not canonical is vector 13 as well");
}

TEST(page_faults) {
    static char data[16];
    CATCH(VECTOR_PF, "mov eax, 0x10; mov rax, [rax]");
    ok(page_fault(0, (void *)0x10), "a read of what is not there");
    CATCH(VECTOR_PF, "mov byte ptr [%1], 0", "r"(boot_stack_guard));
    ok(page_fault(PF_WRITE, boot_stack_guard), "a write to the page below the boot stack");
    CATCH(VECTOR_PF, "mov byte ptr [%1], 0", "r"(text_start));
    ok(page_fault(PF_PRESENT | PF_WRITE, text_start), "a write to the kernel's text");
    char *alias = phys_to_virt((uint64_t)text_start - KERNEL_BASE);
    CATCH(VECTOR_PF, "mov byte ptr [%1], 0", "r"(alias));
    ok(page_fault(PF_PRESENT | PF_WRITE, alias), "a write to the text by the direct window");
    CATCH(VECTOR_PF, "jmp %1", "r"(data));
    ok(page_fault(PF_PRESENT | PF_FETCH, data), "execution of data");
}

/* C wants RSP 16-byte aligned at each call, whether the CPU pushes an error code or not. */
TEST(stack_of_the_handler) {
    bool aligned = true;
    CATCH(6, "and rsp, -16; ud2");
    aligned = aligned && caught.frame_at % 16 == 0;
    CATCH(6, "and rsp, -16; sub rsp, 8; ud2");
    aligned = aligned && caught.frame_at % 16 == 0;
    ok(aligned, "aligned without an error code");
    CATCH(VECTOR_GP, "and rsp, -16; mov eax, 0x100; mov ds, eax");
    aligned = aligned && caught.frame_at % 16 == 0;
    CATCH(VECTOR_GP, "and rsp, -16; sub rsp, 8; mov eax, 0x100; mov ds, eax");
    aligned = aligned && caught.frame_at % 16 == 0;
    /* mutant kernel/trap_entry.S: #define ERROR_CODE_VECTORS 0x60227d00 => #define ERROR_CODE_VECTORS 0x60225d00 */
    ok(aligned, "aligned with one");
}
