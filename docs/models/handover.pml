/* handover.pml: how a task goes from one CPU to another, and how a dead one is buried. A model for spin.
 * SPDX-License-Identifier: MIT
 *
 * Two CPUs, two programs. What stands for what:
 *
 *   schedule()          stages/04 sched.c: schedule(), switch_begin(), run_queue_take(), run_queue_add(), switch_to()
 *   step2, step3        stages/05 switch.S: switch_stacks.step2 keeps RSP, switch_stacks.step3 loads the next one's
 *   switch_end()        sched.c: switch_end(), which also task_begin and thread_begin (task_begin.S) call first
 *   pull()              stages/05 balance.c: balance_pull(), with sched_add(), as sched_idle() calls it
 *   tick()              sched.c: sched_tick(), by clock.c: timer_interrupt(); only while interrupts are on
 *   sleep, end          sched.c: sched_sleep_until(); task.c: task_end()
 *   bury()              task.c: task_destroy(), which frees the kernel stack and the struct task
 *
 * There is no on_cpu flag. What keeps a task from running twice is that the lock of the queue is held until its
 * registers are saved. A lock is a word that one CPU owns: that lock_acquire() is fair plays no part here.
 *
 * broken unlock-early:  the queue is released before the switch, not behind it
 * broken look-behind:   switch_end() asks the previous task behind the release whether it is dead
 * broken sleep-with-if: interrupts are on while a task puts itself among the sleepers
 * broken bury-oneself:  a task frees its own stack and then switches away from it
 * broken wake-from-afar: a tick wakes the sleepers of the other CPU as well, and adds them to its own queue
 */
#define CPUS     2
#define PROGRAMS 2
#define ACTIONS  2              /* what each program does before it ends */
#define IDLE(c)  (PROGRAMS + c) /* tasks: the programs, then the idle tasks */
#define NOBODY   9
#define TASKS    (PROGRAMS + CPUS)

mtype = { ready, sleeps, dead, freed };

byte owner[CPUS] = NOBODY;          /* of queue.lock */
chan queue0 = [PROGRAMS] of { byte };
chan queue1 = [PROGRAMS] of { byte };
byte current[CPUS];
byte to_bury[CPUS] = NOBODY;        /* this_cpu->dead */
bool asleep[CPUS * PROGRAMS];       /* by CPU and program: this_cpu->sleepers */
mtype state[TASKS] = ready;
bool saved[TASKS];                  /* RSP and all registers lie on its stack */
byte on_stack[TASKS];               /* how many CPUs stand on its stack: never two */
byte left[TASKS];                   /* actions */
byte buried;

#define TAKE(c, t)  if :: c == 0 -> queue0?t :: else -> queue1?t fi
/* A queue is never longer than there are programs: else one is in it twice. */
#define ADD(c, t)   if :: c == 0 -> assert(nfull(queue0)); queue0!t :: else -> assert(nfull(queue1)); queue1!t fi
#define LENGTH(c)   (c == 0 -> len(queue0) : len(queue1))
#define SLEEPER(c, t) asleep[(c) * PROGRAMS + (t)]
#define LOCK(c)     atomic { owner[c] == NOBODY -> owner[c] = cpu }
#define UNLOCK(c)   assert(owner[c] == cpu); owner[c] = NOBODY

inline bury(t) {
    atomic {
        printf("CPU %d: task_destroy() of task %d\n", cpu, t);
        assert(state[t] == dead);       /* not buried twice */
        assert(on_stack[t] == 0);       /* nobody stands on its stack */
        state[t] = freed;
        buried++;
    }
}

inline step2(t) {
    atomic { printf("CPU %d: switch_stacks.step2: RSP of task %d is kept\n", cpu, t); saved[t] = true }
}

inline step3(from, to) {
    atomic {
        printf("CPU %d: switch_stacks.step3: from the stack of task %d to that of task %d\n", cpu, from, to);
        assert(state[to] != freed);     /* it is still there */
        assert(saved[to]);              /* and complete */
        on_stack[from]--;
        on_stack[to]++;
        assert(on_stack[to] == 1);      /* and nobody else's */
        saved[to] = false
    }
}

inline switch_end() {
#ifdef BROKEN_LOOK_BEHIND
    atomic { printf("CPU %d: switch_end() releases the queue\n", cpu); UNLOCK(cpu) };
    if
    :: previous < PROGRAMS && previous != current[cpu] && state[previous] == dead -> bury(previous)
    :: else
    fi
#else
    atomic { gone = to_bury[cpu]; to_bury[cpu] = NOBODY };
#ifndef BROKEN_UNLOCK_EARLY
    atomic { printf("CPU %d: switch_end() releases the queue\n", cpu); UNLOCK(cpu) };
#endif
    if
    :: gone != NOBODY -> bury(gone)
    :: else
    fi;
    gone = NOBODY
#endif
}

/* What is written here between LOCK and switch_end() is one task's before step3 and another's behind it; the variables
 * of this process are the CPU's registers, which step3 exchanges in the kernel. All that lives on is in this_cpu. */
inline schedule() {
    previous = current[cpu];
    LOCK(cpu);
    atomic {
        next = NOBODY;
        if :: LENGTH(cpu) > 0 -> TAKE(cpu, next) :: else fi;
        if
        :: state[previous] == ready && next == NOBODY -> next = previous
        :: state[previous] == ready && next != NOBODY && previous < PROGRAMS -> ADD(cpu, previous)
        :: else
        fi;
        if :: next == NOBODY -> next = IDLE(cpu) :: else fi;
        if
        :: next != previous ->
            printf("CPU %d: switch_begin(): task %d in place of task %d\n", cpu, next, previous);
            assert(state[next] != freed);
            current[cpu] = next;
            if :: state[previous] == dead -> to_bury[cpu] = previous :: else fi
        :: else
        fi
    };
#ifdef BROKEN_UNLOCK_EARLY
    atomic { printf("CPU %d: the queue is released\n", cpu); UNLOCK(cpu) };
#endif
    if
    :: next != previous -> step2(previous); step3(previous, next)
    :: else
    fi;
    switch_end()
}

inline tick() {
    LOCK(cpu);
    atomic {
        one = 0;
        do
        :: one < PROGRAMS ->
            if
            :: SLEEPER(cpu, one) -> /* its time may have come */
                if
                :: skip;
                    printf("CPU %d: sched_tick() wakes task %d\n", cpu, one);
                    SLEEPER(cpu, one) = false;
                    state[one] = ready;
                    ADD(cpu, one)
                :: skip
                fi
#ifdef BROKEN_WAKE_FROM_AFAR
            :: SLEEPER(1 - cpu, one) ->
                printf("CPU %d: wakes task %d, which sleeps on the other CPU\n", cpu, one);
                SLEEPER(1 - cpu, one) = false;
                state[one] = ready;
                ADD(cpu, one)
            :: !SLEEPER(cpu, one) && !SLEEPER(1 - cpu, one)
#else
            :: else
#endif
            fi;
            one++
        :: else -> break
        od;
        one = 0
    };
    atomic { UNLOCK(cpu) }
}

inline pull() {
    if
    :: LENGTH(1 - cpu) > 0 && owner[1 - cpu] == NOBODY ->  /* looked at without the lock */
        LOCK(1 - cpu);
        atomic {
            next = NOBODY;
            if :: LENGTH(1 - cpu) > 0 -> TAKE(1 - cpu, next) :: else fi;
            UNLOCK(1 - cpu)
        };
        if
        :: next != NOBODY ->
            LOCK(cpu);
            atomic {
                printf("CPU %d: balance_pull() takes over task %d\n", cpu, next);
                ADD(cpu, next);
                UNLOCK(cpu)
            }
        :: else
        fi;
        next = NOBODY
    :: else
    fi
}

active [CPUS] proctype CPU() {
    byte cpu = _pid, previous = NOBODY, next = NOBODY, gone = NOBODY, one = 0, me;
    atomic {
        current[cpu] = IDLE(cpu);
        on_stack[IDLE(cpu)] = 1;
        if
        :: cpu == 0 ->      /* task_start_all() */
            do
            :: one < PROGRAMS -> saved[one] = true; left[one] = ACTIONS; queue0!one; one++
            :: else -> break
            od;
            one = 0
        :: else
        fi
    };
    do
    :: buried == PROGRAMS && current[cpu] == IDLE(cpu) -> break
    :: buried < PROGRAMS && current[cpu] == IDLE(cpu) -> /* sched_idle() */
        if
        :: LENGTH(cpu) > 0 -> schedule()
        :: LENGTH(cpu) == 0 && LENGTH(1 - cpu) > 0 -> pull()
        :: LENGTH(cpu) == 0 && (SLEEPER(cpu, 0) || SLEEPER(cpu, 1)) -> tick()
#ifdef BROKEN_WAKE_FROM_AFAR
        :: SLEEPER(1 - cpu, 0) || SLEEPER(1 - cpu, 1) -> tick()
#endif
        :: buried == PROGRAMS
        fi
    :: current[cpu] < PROGRAMS -> /* a program runs, with interrupts on */
        me = current[cpu];
        assert(on_stack[me] == 1 && state[me] == ready);
        if
        :: LENGTH(cpu) > 0 || SLEEPER(cpu, 0) || SLEEPER(cpu, 1) ->
            tick();
            if :: LENGTH(cpu) > 0 -> schedule() :: else fi  /* user_return() */
        :: left[me] > 0 -> /* sched_sleep_until() */
            atomic {
                printf("CPU %d: task %d goes to sleep\n", cpu, me);
                left[me]--;
                SLEEPER(cpu, me) = true;
                state[me] = sleeps
            };
#ifdef BROKEN_SLEEP_WITH_IF
            if :: tick() :: skip fi;
#endif
            schedule()
        :: left[me] == 0 -> /* task_end() */
            atomic { printf("CPU %d: task %d ends\n", cpu, me); state[me] = dead };
#ifdef BROKEN_BURY_ONESELF
            bury(me);
#endif
            schedule()
        fi
    od
}
