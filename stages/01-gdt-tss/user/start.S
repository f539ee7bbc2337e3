/* The first instructions of every lesson program. The kernel enters here with rsp pointing at argc, the
 * argument strings' addresses and a null (Linux's layout); main wants them as a function's arguments. */
/* SPDX-License-Identifier: MIT */
.intel_syntax noprefix

.globl _start
.type _start, @function
_start:
    xor     ebp, ebp                    /* the end of the chain of frames, for a debugger's backtrace */
    mov     edi, [rsp]                  /* argc */
    lea     rsi, [rsp + 8]              /* argv */
    call    main                        /* rsp was a multiple of 16, as the calling convention wants it */
    mov     edi, eax
    call    exit                        /* does not return */
.size _start, . - _start

.section .note.GNU-stack, "", @progbits
