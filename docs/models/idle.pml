/* idle.pml: a CPU without work sleeps in HLT and is woken for a task. A model for spin.
 * SPDX-License-Identifier: MIT
 *
 * One CPU runs its idle loop, another one adds tasks to its queue. There is no tick: the tick would wake the sleeper
 * 10 ms later, and hide the mistake. What stands for what:
 *
 *   idle loop       stages/04 sched.c: sched_idle(): CLI, the test of queue.length, schedule(), or STI and HLT
 *   handler         stages/05 ipi.c: reschedule(), behind interrupt_entry (stages/01 trap_entry.S), by iretq back
 *   program         it runs until its interrupt's way out, user_return() (stages/05 user_return.c), sees need_switch,
 *                   or until it ends
 *   waker           sched.c: sched_add(): the queue is locked, the task added, released; then balance.c:
 *                   balance_notify(), one interrupt by ipi.c: ipi_send()
 *
 * Interrupts come between two instructions if IF is set, but not between STI and the instruction behind it. Of several
 * of one vector that wait, the local APIC keeps one. The store to queue.length is seen before the interrupt comes: it
 * is sent by a write to memory that is not cached, which waits for all stores before it.
 *
 * broken sti-early:       STI stands before the test
 * broken gap:             an instruction stands between STI and HLT
 * broken no-notify:       the waker sends no interrupt
 * broken notify-first:    the waker sends the interrupt and adds the task then
 * broken nmi-in-between:  an NMI comes between STI and HLT and uses up what STI holds back. No kernel can forbid it;
 *                         that the idle loop's CPU has a tick bounds the loss to 10 ms
 * sound nmi-with-tick:    the same, with the tick
 */
#define TASKS 3

byte length;                /* queue.length of the idle loop's CPU */
byte added, ended;
bool locked;
bool pending;               /* the interrupt waits in the local APIC */
bool interrupts;            /* IF */
bool shadow;                /* the instruction before was STI: IF counts only behind the next one */
bool halted;
bool need_switch;

/* Every instruction of the idle loop's CPU is one step; before it an interrupt may be taken. It is always taken at
 * once: one that could wait would only be another order of the waker's steps. */
#define BEFORE  do :: atomic { pending && interrupts && !shadow -> \
        printf("idle CPU: reschedule(): the interrupt is taken\n"); pending = false; need_switch = true; } \
    :: else -> break od
#define STI     atomic { interrupts = true; shadow = true; printf("idle CPU: STI\n") }
#define CLI     atomic { interrupts = false; shadow = false; printf("idle CPU: CLI\n") }

inline take_task() {
    atomic {
        !locked -> locked = true
    };
    atomic {
        need_switch = false;
        length--;
        locked = false;
        printf("idle CPU: switch_begin() takes a task\n")
    };
    /* It runs, is interrupted or not, and ends; the idle task goes on with its own IF, which is off. */
    interrupts = true;
    do
    :: atomic { pending -> printf("a program: reschedule(): the interrupt is taken\n"); pending = false;
        need_switch = true }
    :: skip -> break
    od;
    atomic { interrupts = false; ended++; printf("a program ends\n") }
}

active proctype Idle() {
    do
    :: ended == TASKS -> break
    :: else ->
#ifdef BROKEN_STI_EARLY
        STI; shadow = false;
#else
        BEFORE; CLI;
#endif
        BEFORE;
        if
        :: length > 0 -> interrupts = false; take_task()
        :: else ->
            printf("idle CPU: the queue is empty\n");
#ifndef BROKEN_STI_EARLY
            STI;
#endif
#ifdef BROKEN_GAP
            BEFORE; shadow = false;
#endif
#if defined(BROKEN_NMI_IN_BETWEEN) || defined(SOUND_NMI_WITH_TICK)
            if
            :: atomic { printf("idle CPU: an NMI, and its IRET: an interrupt may come before HLT\n"); shadow = false }
            :: skip
            fi;
#endif
            BEFORE;
            atomic { halted = true; shadow = false; printf("idle CPU: HLT\n") };
            if
            :: atomic { pending -> halted = false }
            :: ended == TASKS -> halted = false /* nothing more is to come: the end of the model, not of the kernel */
#ifdef SOUND_NMI_WITH_TICK
            :: atomic { halted && length > 0 -> halted = false; printf("idle CPU: sched_tick()\n") }
#endif
            fi;
            BEFORE
        fi
    od
}

active proctype Waker() {
    do
    :: added == TASKS -> break
    :: else ->
#ifdef BROKEN_NOTIFY_FIRST
        atomic { pending = true; printf("waker: balance_notify()\n") };
#endif
        atomic { !locked -> locked = true };
        atomic { length++; added++; printf("waker: run_queue_add(): %d in the queue\n", length) };
        locked = false;
#if !defined(BROKEN_NO_NOTIFY) && !defined(BROKEN_NOTIFY_FIRST)
        atomic { pending = true; printf("waker: balance_notify()\n") };
#endif
    od
}
