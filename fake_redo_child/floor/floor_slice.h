/*
 * The closed loop of the floor: N clients, a redo of each in flight, for a fixed time.
 *
 * This is the part that is timed. It knows two descriptors and nothing of how the child came to be.
 */
#ifndef FLOOR_SLICE_H
#define FLOOR_SLICE_H

#include "floor_traffic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* One client. Times are nanoseconds of CLOCK_MONOTONIC since the slice's start. */
struct client {
    int64_t start_ns;
    int64_t end_ns;
    int64_t redos;
    int64_t offered_ns; /* when the request in flight was first offered to the pipe */
    size_t request;     /* index of the one in flight */
};

/* Latencies in the order in which they were taken, each with its client. */
struct samples {
    int64_t *latency_ns;
    uint32_t *client;
    size_t count;
    size_t capacity;
};

struct slice {
    const struct traffic *traffic;
    int to_child;   /* non-blocking */
    int from_child; /* blocking */

    size_t window;
    struct client *clients;
    struct samples samples;

    /* The clients whose pages are due, in the order of their requests: a ring of `window`. */
    uint32_t *due;
    size_t due_first, due_count;
    size_t due_new; /* the last ones, not stamped with a time yet */

    /* What the pipe has not taken yet: a part of an array of 2 * `window`. */
    struct iovec *unsent;
    size_t unsent_first, unsent_count;

    uint8_t *input; /* pages come here; a part of one may wait for its rest at the front */
    size_t input_size;

    int64_t origin_ns;
    int64_t duration_ns;
    size_t read_calls, write_calls, poll_calls; /* system calls in this slice */
    char error[200];
    bool child_gone; /* beside `error`: its streams ended, it need not be killed at once */
};

/* Allocates for `window` clients. False: out of memory. */
bool slice_prepare(struct slice *slice, const struct traffic *traffic, size_t window, int to_child,
                   int from_child);

/* Runs one slice to its end, that is until no redo is in flight; then `clients` and `samples` hold
 * its result. False, with `error` set, if the child is gone or a page is wrong. */
bool slice_run(struct slice *slice, int64_t duration_ns);

#endif
