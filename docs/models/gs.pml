/* gs.pml: whose GS it is when interrupts, NMIs and faults strike each other anywhere. A model for spin.
 * SPDX-License-Identifier: MIT
 *
 * One CPU. A program makes a system call, and is interrupted; every step may be struck by an NMI, a #MC, and, where IF
 * is set, an interrupt, up to four deep. What stands for what:
 *
 *   in SYSCALL, OUT      stages/03 syscall_entry.S: syscall_entry, before and behind each of its two SWAPGS
 *   ENTER, LEAVE         stages/05 entry_macros.h: ENTER_KERNEL, LEAVE_KERNEL, in interrupt_entry and interrupt_return
 *                        (stages/01 trap_entry.S); they ask the saved CS, and the saved RIP for the IRETQ to ring 3
 *   PARANOID             stages/03 paranoid_entry.S: ist_entry, which moves what comes from ring 3 to ENTER's way, and
 *                        paranoid_entry: save the base, load the PCR's, C, restore the base, IRETQ
 *
 * NMIs wait until the next IRET, as a CPU makes them; every gate clears IF. tools/check-entry looks at each instruction
 * by itself; here they meet.
 *
 * broken nmi-asks-cs:   the NMI takes the ordinary entry
 * broken nmi-asks-sign: the paranoid entry asks the sign of the base, and takes the kernel's half for the PCR; a
 *                       program may have set a base there (FSGSBASE on)
 * broken sti-early:     interrupts are on between SYSCALL and SWAPGS
 * broken no-fix-up:     the entry does not know the IRETQ to ring 3, which may fault behind its SWAPGS
 * broken one-ist:       NMI and #MC share a stack
 * broken mc-returns:    a #MC is survived; its IRET lets an NMI in while another one is not done
 * broken fault-in-nmi:  the handler of NMIs takes a fault; its IRET lets the next NMI in, onto the same stack. (The
 *                       kernel's paranoid() notices that, and panics; here the frame that is lost is the mistake)
 */
#define DEEP    5
#define STRIKES 4

mtype = { pcr, user };
mtype = { program, in_syscall, in_call, out_of_call, sysret, enter, kernel, leave, iretq_to_user,
          nmi_entry, nmi_kernel, nmi_leave, mc_entry, mc_kernel, mc_leave };

mtype gs = user, kernel_gs = pcr;
mtype at[DEEP] = program;       /* what each level does */
bool ring_3[DEEP];              /* the saved CS of each level's frame */
bool at_iretq[DEEP];            /* the saved RIP is interrupt_return.step3 */
bool saved_if[DEEP];
mtype saved_base[DEEP] = user;  /* paranoid_entry: rbx, r12 */
byte level;
bool interrupts = true, nmi_blocked;
bool ist_used[2];               /* a frame that is still wanted lies there: of NMI, of #MC */
byte strikes;

#define HERE at[level]
#ifdef BROKEN_ONE_IST
#define MC_STACK 0
#else
#define MC_STACK 1
#endif

inline swapgs() { other = gs; gs = kernel_gs; kernel_gs = other }

/* A frame is pushed: what is interrupted waits on the level below. */
inline push(way) {
    ring_3[level + 1] = (HERE == program);
    at_iretq[level + 1] = (HERE == iretq_to_user);
    saved_if[level + 1] = interrupts;
    interrupts = false;
    strikes++;
    level++;
    HERE = way
}

/* IRETQ and SYSRET: back to what was interrupted. IRETQ ends the blocking of NMIs, whoever executes it. */
inline back() {
    interrupts = saved_if[level];
    assert(!ring_3[level] || (gs == user && kernel_gs == pcr));     /* ring 3 never has the PCR's base */
    level--
}

inline use_ist(n) { assert(!ist_used[n]); ist_used[n] = true }

active proctype CPU() {
    mtype other;
    do
    /* A system call. */
    :: atomic { HERE == program && strikes < STRIKES ->
        printf("a program: SYSCALL\n");
        push(in_syscall);
#ifdef BROKEN_STI_EARLY
        interrupts = true
#endif
        }
    :: atomic { HERE == in_syscall ->
        printf("syscall_entry: SWAPGS, and STI behind the frame\n");
        swapgs(); HERE = in_call; interrupts = true }
    :: atomic { HERE == in_call -> printf("syscall_dispatch(): this_cpu\n"); assert(gs == pcr);
        interrupts = false; HERE = out_of_call }
    :: atomic { HERE == out_of_call -> printf("syscall_entry: SWAPGS\n"); swapgs(); HERE = sysret }
    :: atomic { HERE == sysret -> printf("syscall_entry: SYSRET\n"); back() }

    /* interrupt_entry and interrupt_return. */
    :: atomic { interrupts && strikes < STRIKES && level < DEEP - 1 ->
        printf("%d deep: an interrupt, while %e\n", level, HERE); push(enter) }
    :: atomic { HERE == iretq_to_user && strikes < STRIKES && level < DEEP - 1 ->
        printf("%d deep: the IRETQ to ring 3 faults\n", level); push(enter) }
    :: atomic { HERE == enter ->
        if
#ifdef BROKEN_NO_FIX_UP
        :: ring_3[level] ->
#else
        :: ring_3[level] || at_iretq[level] ->
#endif
            printf("interrupt_entry: SWAPGS\n"); swapgs()
        :: else -> printf("interrupt_entry: no SWAPGS\n")
        fi;
        HERE = kernel }
    :: atomic { HERE == kernel ->
        printf("trap(): this_cpu\n");
        assert(gs == pcr);
        if
        :: at_iretq[level] ->   /* the task ends, and another one's frame is returned by */
            printf("iretq_fault(): the task is killed\n"); level--; HERE = leave
        :: else -> HERE = leave
        fi }
    :: atomic { HERE == leave && !ring_3[level] ->
        printf("interrupt_return: IRETQ to ring 0\n"); nmi_blocked = false; back() }
    :: atomic { HERE == leave && ring_3[level] ->
        printf("interrupt_return: SWAPGS\n"); swapgs(); HERE = iretq_to_user }
    :: atomic { HERE == iretq_to_user -> printf("interrupt_return.step3: IRETQ to ring 3\n");
        nmi_blocked = false; back() }

    /* NMI and #MC: ist_entry, paranoid_entry. No #MC is survived. */
    :: atomic { !nmi_blocked && strikes < STRIKES && level < DEEP - 1 ->
        printf("%d deep: an NMI, while %e\n", level, HERE);
        nmi_blocked = true;
#ifdef BROKEN_NMI_ASKS_CS
        push(enter)
#else
        use_ist(0);
        push(nmi_entry);
        if
        :: ring_3[level] -> printf("ist_entry: from ring 3, to the task's stack\n"); ist_used[0] = false; HERE = enter
        :: else
        fi
#endif
        }
    :: atomic { strikes < STRIKES && level < DEEP - 1 && HERE != mc_entry && HERE != mc_kernel && HERE != mc_leave &&
                !ist_used[1] ->
        printf("%d deep: a #MC, while %e\n", level, HERE); use_ist(MC_STACK); push(mc_entry) }
    :: atomic { HERE == nmi_entry || HERE == mc_entry ->
        saved_base[level] = gs;
#ifdef BROKEN_NMI_ASKS_SIGN
        printf("paranoid_entry: the base looks like the kernel's\n");
#else
        printf("paranoid_entry: WRMSR: the PCR's base in place of %e\n", gs);
        gs = pcr;
#endif
        HERE = (HERE == nmi_entry -> nmi_kernel : mc_kernel) }
    :: atomic { HERE == mc_kernel -> printf("paranoid(): this_cpu\n"); assert(gs == pcr);
#ifdef BROKEN_MC_RETURNS
        HERE = mc_leave }
#else
        printf("trap_panic(): the run ends\n"); break }
#endif
    :: atomic { HERE == nmi_kernel -> printf("paranoid(): this_cpu\n"); assert(gs == pcr);
#ifdef BROKEN_FAULT_IN_NMI
        printf("paranoid(): a fault, and its IRETQ\n"); nmi_blocked = false;
#endif
        HERE = nmi_leave }
    :: atomic { HERE == nmi_leave || HERE == mc_leave ->
        printf("paranoid_entry: WRMSR: base %e, and IRETQ\n", saved_base[level]);
        gs = saved_base[level];
        if :: HERE == nmi_leave -> ist_used[0] = false :: else -> ist_used[MC_STACK] = false fi;
        nmi_blocked = false;
        back() }
    :: HERE == program && strikes == STRIKES -> break
    od
}
