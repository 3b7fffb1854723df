/*
 * Implements shared_ring.h.
 */
#define _GNU_SOURCE

#include "shared_ring.h"

#include <time.h>

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The fastest of many short trials, since a disturbance can only slow a trial down. A pause takes
 * from 5 to 100 ns, depending on the machine. */
uint64_t shared_rounds(uint64_t spin_ns)
{
    const uint64_t rounds = 500;
    static const _Atomic uint64_t counter = 0;
    int64_t best_ns = 1000000000;
    if (spin_ns == 0)
        return 0;
    for (int trial = 0; trial < 50; trial++) {
        int64_t start_ns = clock_ns();
        shared_spin(&counter, 0, rounds);
        int64_t took_ns = clock_ns() - start_ns;
        if (took_ns < best_ns)
            best_ns = took_ns;
    }
    if (spin_ns > MOST_SPIN_NS)
        spin_ns = MOST_SPIN_NS;
    /* With a coarse clock a trial may seem to take no time; the number must stay finite. */
    return 1 + spin_ns * rounds / (uint64_t)(best_ns > 500 ? best_ns : 500);
}
