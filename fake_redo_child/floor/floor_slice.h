/*
 * The closed loop of the floor: N clients with one redo in flight each, for a fixed time.
 *
 * This is the part that is timed. It uses a link and does not know how the child was launched.
 */
#ifndef FLOOR_SLICE_H
#define FLOOR_SLICE_H

#include "floor_link.h"
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
    int64_t offered_ns; /* when the request in flight was first passed to link_send */
    size_t request;     /* index of the request in flight */
};

/* In the order of measurement: the latency, the end and the client of each redo. */
struct samples {
    int64_t *latency_ns;
    int64_t *end_ns;
    uint32_t *client;
    size_t count;
    size_t capacity;
};

struct slice {
    const struct traffic *traffic;
    struct link *link;

    size_t window;
    struct client *clients;
    struct samples samples;

    /* The clients that wait for a page, in the order of their requests: a ring of `window`. */
    uint32_t *due;
    size_t due_first, due_count;
    size_t due_new; /* how many of the last ones have no offered_ns yet */

    /* The bytes that the link has not taken yet: a part of an array of 2 * `window`. */
    struct iovec *unsent;
    size_t unsent_first, unsent_count;

    uint8_t *input; /* the read buffer; an incomplete page stays at its front */
    size_t input_size;

    int64_t origin_ns;
    int64_t duration_ns;
    char error[200];
};

/* Allocates memory for `window` clients. Returns false if there is not enough. */
bool slice_prepare(struct slice *slice, const struct traffic *traffic, size_t window,
                   struct link *link);

/* Runs one slice until its time is over and no redo is in flight. Then `clients` and `samples` hold
 * the result, and the link has counted the system calls of this slice. Returns false and sets
 * `error` if the child is gone or a page is wrong. */
bool slice_run(struct slice *slice, int64_t duration_ns);

#endif
