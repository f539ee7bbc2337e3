/* machine.h: the machine around the CPU: COM1, the VGA text screen, and how an emulator is told that the run is over.
 * SPDX-License-Identifier: MIT */
#pragma once

/* The first serial port of every PC; its registers by their offset. Source: PC16550D data sheet, "Registers". */
#define COM1             0x3f8
#define COM_LINE         3
#define COM_MODEM        4
#define COM_LINE_STATUS  5
#define COM_8_BITS       0x03 /* no parity, one stop bit */
#define COM_DIVISOR      0x80 /* the first two registers are the baud rate's divisor */
#define COM_READY        0x03 /* tells the other end to send */
#define COM_HOLDER_EMPTY 0x20 /* it takes the next character */
#define COM_ALL_SENT     0x40 /* the last one has left */

/* Where every VGA has its text screen. */
#define VGA_TEXT 0xb8000

/* QEMU's isa-debug-exit, as tools/boot sets it up: the value v ends it with status 2v + 1. */
#define QEMU_EXIT_PORT 0xf4
#define EXIT_GOOD      0x10
#define EXIT_BAD       0x11
/* Bochs: the letter D stops in its debugger, the word Shutdown ends it with status 1. */
#define BOCHS_EXIT_PORT 0x8900
