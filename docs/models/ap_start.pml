/* ap_start.pml: several CPUs start at once, and some come too late. A model for spin.
 * SPDX-License-Identifier: MIT
 *
 * Three CPUs start; there was memory for two PCRs. What stands for what:
 *
 *   claim       stages/05 ap_entry.S: ap_start: the read of ap_unclaimed, the read of its PCR_NEXT, LOCK CMPXCHG
 *   setup       stages/05 smp.c: ap_main(), main.c: cpu_setup(): APIC id, idle task, and the rest
 *   join        smp.c: join(): the compare-and-swap of presence from awaited to online, or HLT for ever
 *   boot        smp.c: smp_start(): is_online() of each CPU in send_to_silent(), the time-out, the compare-and-swap of
 *               each presence from awaited to left out, the lines that it prints
 *
 * Any CPU may take any time, so the time-out may come at any moment. The second start-up IPI is not here: a CPU that
 * runs takes no notice of it.
 *
 * broken plain-store:     the list's head is read, and then written, without LOCK CMPXCHG
 * broken no-door:         join() just says that this CPU is online
 * broken list-emptied:    at the time-out the list is emptied, and no more (an alternative that was refused)
 * broken id-late:         a CPU is online before its APIC id is known
 */
#define APS  3
#define PCRS 2
#define NONE 9

mtype = { awaited, online, out };

byte unclaimed = 0;             /* the first PCR of the list; PCRS: its end */
mtype presence[PCRS] = awaited;
bool known[PCRS];               /* the PCR holds its CPU's APIC id */
byte taken[PCRS];               /* by how many CPUs: never two */
byte working;                   /* CPUs in sched_idle(), which take tasks */
byte told = NONE;               /* how many the boot CPU has told of */

active [APS] proctype AP() {
    byte head, next, cpu = _pid + 1;
    head = unclaimed;
    do
    :: head == PCRS -> printf("CPU %d: ap_start: no PCR is left; it halts\n", cpu); goto parked
    :: else ->
        next = head + 1;        /* a read of PCR_NEXT; nothing is ever put back, so it is still right */
#ifdef BROKEN_PLAIN_STORE
        atomic { unclaimed = next; printf("CPU %d: ap_start: takes PCR %d\n", cpu, head + 1) };
        break
#else
        atomic {
            if
            :: unclaimed == head -> unclaimed = next; printf("CPU %d: ap_start: takes PCR %d\n", cpu, head + 1); break
            :: else -> head = unclaimed
            fi
        }
#endif
    od;
    atomic { taken[head]++; assert(taken[head] == 1) };
#ifndef BROKEN_ID_LATE
    known[head] = true;
#endif
    atomic {
#ifdef BROKEN_NO_DOOR
        presence[head] = online; printf("CPU %d: join()\n", cpu)
#else
        if
        :: presence[head] == awaited -> presence[head] = online; printf("CPU %d: join()\n", cpu)
        :: else -> printf("CPU %d: join(): too late; it halts\n", cpu); goto parked
        fi
#endif
    };
#ifdef BROKEN_ID_LATE
    known[head] = true;
#endif
    atomic { working++; assert(told == NONE || working <= told) };   /* nobody works who was reported as left out */
parked:
    skip
}

active proctype Boot() {
    byte one = 0, online_now = 0, answered = 0;
    printf("boot CPU: smp_start(): INIT and start-up\n");
    /* While it waits it only looks. The time-out may come at any time, so how often it looks does not matter. */
#ifdef BROKEN_LIST_EMPTIED
    atomic { unclaimed = PCRS; printf("boot CPU: the time is up: the list is emptied\n") };
#endif
    do
    :: one < PCRS ->
        atomic {
            if
#ifndef BROKEN_LIST_EMPTIED
            :: presence[one] == awaited -> presence[one] = out;
                printf("boot CPU: the time is up: PCR %d is left out\n", one + 1)
#endif
            :: presence[one] == online -> online_now++
            :: else
            fi
        };
        one++
    :: else -> break
    od;
    atomic { told = online_now; printf("boot CPU: smp: %d CPUs\n", told) };
    assert(working <= told);
    /* is_online() for each CPU of the firmware's table: which of them it tells to be left out */
    one = 0;
    do
    :: one < PCRS -> if :: presence[one] == online && known[one] -> answered++ :: else fi; one++
    :: else -> break
    od;
    assert(answered == told)    /* each CPU is either counted or told to be left out, never both */
}
