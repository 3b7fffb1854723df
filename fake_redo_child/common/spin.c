/*
 * Implements spin.h.
 */
#define _GNU_SOURCE

#include "spin.h"

#include <time.h>

void spin(uint64_t rounds)
{
    uint64_t x = rounds;
    for (uint64_t i = 0; i < rounds; i++) {
        x = x * UINT64_C(6364136223846793005) + 1;
        __asm__ volatile("" : "+r"(x)); /* keeps the loop and the order of its rounds */
    }
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The fastest of many short trials, since a disturbance can only slow a trial down. */
double calibrate_spins_per_us(void)
{
    const uint64_t rounds = 100000;
    double best_us = 1e9;
    for (int trial = 0; trial < 50; trial++) {
        double start_us = now_us();
        spin(rounds);
        double took_us = now_us() - start_us;
        if (took_us < best_us)
            best_us = took_us;
    }
    /* With a coarse clock a trial may seem to take no time; the speed must stay finite. */
    return (double)rounds / (best_us > 1.0 ? best_us : 1.0);
}
