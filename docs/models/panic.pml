/* panic.pml: several CPUs panic; one of them reports, and all others stop. A model for spin.
 * SPDX-License-Identifier: MIT
 *
 * CPUs 0 and 1 are online, CPU 2 has just been started. Any of them may panic anywhere, also twice. What
 * stands for what:
 *
 *   panic_begin     stages/00 panic.c: panic_begin(): CLI, stop_other_cpus(), the test of `reporting`
 *   stop            stages/05 ipi.c: stop_other_cpus(): the compare-and-swap of `panicking`; that of each CPU's
 *                   presence from awaited to left out; an NMI to each that is online, and the wait with a time-out
 *   nmi             ipi.c: stop_or_count(), by ist_entry and paranoid_entry, also while IF is 0
 *   join            stages/05 smp.c: join(), by which a started CPU comes to take part
 *   report          panic.c: the rest of panic_begin(), and panic_end() with machine_exit()
 *
 * A CPU that has the console's lock and prints may be the one that panics or that is stopped: the lock is made anew.
 *
 * broken by-interrupt:    the others are stopped by an ordinary interrupt; one that waits with IF=0 goes on
 * broken no-arbitration:  each CPU that panics takes itself for the first one, and NMIs do not stop it
 * broken no-wait:         the report begins when the NMIs are on their way
 * broken deaf-to-itself:  who panics again waits as if another CPU had been first
 * broken any-nmi-stops:   stop_or_count() does not ask who panics; an NMI may also come from a button
 * broken before-known:    a CPU panics before its APIC id is known, in cpu_setup() (docs/maintaining/decisions.md,
 *                         "Known weak spots": it stops nobody)
 * broken late-joiner:     the door is not closed on a CPU that is still on its way: it joins behind the panic
 */
#define CPUS   3
#define NOBODY 255

mtype = { awaited, online, left_out, stopped };

mtype presence[CPUS] = online;
byte panicking = NOBODY;
bool nmi[CPUS], interrupt[CPUS], off[CPUS], halted[CPUS];
bool reporting, done;
byte reporters;             /* how many print a report now: never two */
byte twice[CPUS];           /* how often a CPU panics */

#ifdef BROKEN_DEAF_TO_ITSELF
#define OTHER_FIRST(was) (was != NOBODY)
#else
#define OTHER_FIRST(was) (was != NOBODY && was != cpu)
#endif
#ifdef BROKEN_BY_INTERRUPT
#define STOP(c) interrupt[c] = true
#else
#define STOP(c) nmi[c] = true
#endif

/* stop_or_count(): it comes at any instruction, except in itself. Nothing behind it is done once it has stopped. */
inline look_for_nmi() {
    if
    :: nmi[cpu] || (interrupt[cpu] && !off[cpu]) ->
        atomic {
            nmi[cpu] = false;
            interrupt[cpu] = false;
            if
#if defined(BROKEN_ANY_NMI_STOPS)
            :: true ->
#elif defined(BROKEN_NO_ARBITRATION)
            :: panicking != NOBODY && twice[cpu] == 0 ->
#else
            :: panicking != NOBODY && panicking != cpu ->
#endif
                printf("CPU %d: stop_or_count(): stops\n", cpu);
                presence[cpu] = stopped;
                halted[cpu] = true
            :: else -> printf("CPU %d: stop_or_count(): counts\n", cpu)
            fi
        };
        if :: halted[cpu] -> goto over :: else fi
    :: else
    fi
}

inline wait_for(c) {
    do
    :: presence[c] != online || c == cpu -> break
    :: nmi[cpu] && presence[c] == online && c != cpu -> look_for_nmi()
    :: atomic { timeout -> printf("CPU %d: CPU %d does not stop; the time is up\n", cpu, c) } -> break
    od
}

inline send(c) {
#ifndef BROKEN_LATE_JOINER
    atomic { if :: presence[c] == awaited && c != cpu -> presence[c] = left_out :: else fi };
#endif
    if
    :: atomic { presence[c] == online && c != cpu ->
        printf("CPU %d: stop_other_cpus(): tells CPU %d to stop\n", cpu, c); STOP(c) }
    :: atomic { presence[c] == awaited && c != cpu ->
        printf("CPU %d: stop_other_cpus(): CPU %d is not online, and is not told\n", cpu, c) }
    :: else
    fi
}

proctype CPU(byte cpu) {
    byte was = NOBODY;
    do
    :: done -> break
    :: !done -> /* the kernel at work, with interrupts on or off */
        look_for_nmi();
        if
        :: atomic { presence[cpu] == awaited -> printf("CPU %d: join()\n", cpu); presence[cpu] = online }
        :: presence[cpu] == online -> off[cpu] = !off[cpu]
        :: presence[cpu] == left_out -> goto over
        :: twice[cpu] == 0 && presence[cpu] != left_out -> break
        fi;
        assert(reporters == 0)      /* nobody works while one reports */
    od;
    if :: done -> goto over :: else fi;
panics: /* panic_begin(): CLI, stop_other_cpus() */
    twice[cpu]++;
    off[cpu] = true;
    atomic { printf("CPU %d: panic_begin()\n", cpu) };
    look_for_nmi();
#ifdef BROKEN_BEFORE_KNOWN
    if :: cpu == 2 -> goto reports :: else fi;  /* no PCR has this APIC id: stop_other_cpus() returns at once */
#endif
#ifdef BROKEN_NO_ARBITRATION
    panicking = cpu;
#else
    atomic { was = panicking; if :: was == NOBODY -> panicking = cpu :: else fi };
#endif
    if
    :: OTHER_FIRST(was) ->
        printf("CPU %d: another CPU panics; it halts\n", cpu);
        do
        :: nmi[cpu] -> look_for_nmi()
        :: done -> goto over
        od
    :: was == cpu && !OTHER_FIRST(was) -> goto reports
    :: was == NOBODY
    fi;
    look_for_nmi();
    send(0); look_for_nmi(); send(1); look_for_nmi(); send(2);
    look_for_nmi();
#ifndef BROKEN_NO_WAIT
    wait_for(0); look_for_nmi(); wait_for(1); look_for_nmi(); wait_for(2);
#endif
    look_for_nmi();
reports: /* the rest of panic_begin(), and panic_end() */
    if
    :: reporting && twice[cpu] > 1 -> goto again
    :: else
    fi;
    atomic { printf("CPU %d: reports\n", cpu); reporters++; assert(reporters == 1);
        assert(cpu == 0 || presence[0] != online);      /* all others have stopped */
        assert(cpu == 1 || presence[1] != online);
        assert(cpu == 2 || presence[2] != online) };
    reporting = true;
    look_for_nmi();
    if
    :: twice[cpu] == 1 -> atomic { printf("CPU %d: a fault while it reports\n", cpu); reporters-- }; goto panics
    :: skip
    fi;
again:
    atomic { printf("CPU %d: machine_exit()\n", cpu); done = true };
over:
    skip
}

init {
    atomic {
        if :: presence[2] = awaited :: skip fi;     /* on its way, or here already */
        run CPU(0);
        run CPU(1);
        run CPU(2)
    };
    nmi[0] = true       /* somebody presses the button for it */
}
