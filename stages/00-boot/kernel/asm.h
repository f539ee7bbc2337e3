/* asm.h: what every assembly file begins with: Intel syntax, as in the manuals, section .text, and the names that
 * debuggers need.
 * SPDX-License-Identifier: MIT */
#pragma once
/* clang-format off */
.intel_syntax noprefix
.section .note.GNU-stack, "", @progbits /* no file needs an executable stack */
.text

/* The type lets a debugger say "syscall_entry+3" instead of a number. */
#define FUNCTION(name) .globl name; .type name, @function; name:

/* A place worth a breakpoint: STEP(syscall_entry, 2) is the global label syscall_entry.step2. */
#define STEP(name, number) .globl name.step##number; name.step##number:
