/*
 * Keeping the CPU busy for a given time without a clock, which the sandbox forbids to read.
 */
#ifndef REDO_SPIN_H
#define REDO_SPIN_H

#include <stdint.h>

void spin(uint64_t rounds);

/* Reads a clock, so before the sandbox. */
double calibrate_spins_per_us(void);

#endif
