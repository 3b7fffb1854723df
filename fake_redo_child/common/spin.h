/*
 * Keeps the CPU busy for a given time without a clock, since the sandbox forbids reading one.
 */
#ifndef REDO_SPIN_H
#define REDO_SPIN_H

#include <stdint.h>

void spin(uint64_t rounds);

/* Rounds of `spin` per microsecond. Reads a clock, so it must run before the sandbox is entered. */
double calibrate_spins_per_us(void);

#endif
