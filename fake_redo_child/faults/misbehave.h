/*
 * What each fault does. The child calls these functions only if it was given a fault.
 */
#ifndef REDO_MISBEHAVE_H
#define REDO_MISBEHAVE_H

#include "fault.h"
#include "../common/memory_io.h"
#include "../common/protocol.h"

#include <sys/types.h>

struct misbehaviour {
    struct fault fault;
    double spins_per_us;      /* for faults that spin */
    pid_t manager;            /* the parent process at the start */
    struct memory_io *memory; /* NULL: the child uses pipes */
};

/* Called before the sandbox is entered. */
void misbehave_at_start(struct misbehaviour *m);

/* Called instead of writing the page of a redo. */
void misbehave_in_reply(struct misbehaviour *m, const uint8_t page[PAGE_BYTES]);

/* Called instead of writing a page that answers no redo: writes it. */
void misbehave_not(struct misbehaviour *m, const uint8_t page[PAGE_BYTES]);

/* Called at the end of input. */
void misbehave_at_end(const struct misbehaviour *m);

#endif
