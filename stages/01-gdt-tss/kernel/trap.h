/* trap.h: what the kernel does about an interrupt or exception.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/trap_frame.h>

/* The signals by which Linux ends a program. */
enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11 };

/* Vectors that are treated each in its own way. */
enum { VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_BP = 3, VECTOR_DF = 8, VECTOR_MC = 18 };
enum { VECTOR_NP = 11, VECTOR_SS = 12, VECTOR_GP = 13, VECTOR_PF = 14 };

/* A handler returns false to say that it was not meant; then the ordinary way follows: a program is killed, a kernel
 * panics. It runs with interrupts off. */
typedef bool trap_handler(struct trap_frame *frame);

/* Sets the handler of a vector. Before interrupts or programs can raise it. */
void trap_handle(unsigned vector, trap_handler *handler);

/* Calls the vector's handler. False if there is none, or if it was not meant. */
bool trap_try(struct trap_frame *frame);

/* Called by trap_entry.S with every frame. */
void trap(struct trap_frame *frame);

/* Prints what is in a frame, and CR2. */
void trap_print_registers(const struct trap_frame *frame);

/* Reports a fault of the kernel and ends the run. */
_Noreturn void trap_panic(const struct trap_frame *frame);

/* idt.c: fills the interrupt descriptor table, one for all CPUs, with gates to the stubs of trap_entry.S. Once. */
void idt_init(void);
void idt_load(void); /* on every CPU */

/* Lets ring 3 use the gate with the instruction int. Else int gives #GP there. */
void idt_allow_user(unsigned vector);

/* user_return.c, the last thing that C does before a program goes on: for each frame that leads to ring 3, with
 * interrupts off until the program runs. It may end the task. */
void user_return(struct trap_frame *frame);

/* Sets the handlers for an IRETQ to ring 3 that faults, once. Stage 05. */
void user_return_init(void);
