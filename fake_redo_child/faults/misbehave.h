/*
 * What each fault does, and where. The child calls these only if it was given a fault.
 */
#ifndef REDO_MISBEHAVE_H
#define REDO_MISBEHAVE_H

#include "fault.h"
#include "../common/protocol.h"

#include <sys/types.h>

struct misbehaviour {
    struct fault fault;
    double spins_per_us; /* of faults that spin */
    pid_t manager;       /* its process, as long as it lives */
};

/* After the start, before the sandbox. */
void misbehave_at_start(struct misbehaviour *m);

/* In place of writing the page of a redo. */
void misbehave_in_reply(struct misbehaviour *m, const uint8_t page[PAGE_BYTES]);

/* At the end of input. */
void misbehave_at_end(const struct misbehaviour *m);

#endif
