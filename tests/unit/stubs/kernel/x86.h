/* x86.h: the kernel's own, with the instructions that only ring 0 may execute replaced by functions of the test.
 * SPDX-License-Identifier: MIT */
#pragma once
#include_next <kernel/x86.h>

#define cli()             ((void)0)
#define sti()             ((void)0)
#define wrmsr(msr, value) fake_wrmsr(msr, value)
#define rdmsr(msr)        fake_rdmsr(msr)
#define outb(port, value) ((void)(port), (void)(value))
#define inb(port)         ((void)(port), (uint8_t)0xff)
#define invlpg(address)   fake_invlpg(address)
#define write_cr0(value)  ((void)(value))
#define read_cr0()        ((uint64_t)CR0_PG)
#define write_cr3(value)  fake_write_cr3(value)

/* A test defines those that its source uses. */
void fake_wrmsr(uint32_t msr, uint64_t value);
uint64_t fake_rdmsr(uint32_t msr);
void fake_invlpg(uint64_t address);
void fake_write_cr3(uint64_t value);
