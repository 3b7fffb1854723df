/*
 * The way to the child and back: two pipes, or shared memory with the pipes as its doorbells.
 *
 * This is the only file of the floor that knows which of the two it is.
 */
#ifndef FLOOR_LINK_H
#define FLOOR_LINK_H

#include "../common/shared_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct link {
    int to_child;   /* non-blocking */
    int from_child; /* blocking */

    struct shared_memory *memory; /* NULL: pipes only */
    uint64_t written, taken;      /* the own counters */
    uint64_t consumed;            /* as last seen */
    bool rings_later;             /* a counter was stored, and its flag is still to be looked at */
    struct shared_backoff backoff;

    size_t read_calls, write_calls, poll_calls; /* system calls so far */
    char error[200];
    bool child_gone; /* with `error`: a stream ended, so the child may still exit by itself */
};

/* Makes the memory. Returns the descriptor that the child must inherit, or -1 and sets `error`. */
int link_share(struct link *link, uint64_t spin_ns);

/* Passes on as many bytes as there is room for. Returns how many, or -1 and sets `error`. */
ssize_t link_send(struct link *link, const struct iovec *parts, size_t count);

/* Waits until pages arrive or, if bytes are unsent, until there is room for some. Returns 1 if
 * link_receive is to be called, 0 if not, or -1 and sets `error`. */
int link_wait(struct link *link, bool unsent);

/* Copies bytes of pages. Returns how many (0: none after all), or -1 and sets `error`. */
ssize_t link_receive(struct link *link, uint8_t *bytes, size_t size);

/* Returns 0 if nothing is there from the child, as it must be while no request is due; else -1 and
 * sets `error`. Does not block. */
int link_check_quiet(struct link *link);

#endif
