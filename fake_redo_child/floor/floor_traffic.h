/*
 * The traffic of the floor: complete redos in wire format and their pages, read from two files.
 */
#ifndef FLOOR_TRAFFIC_H
#define FLOOR_TRAFFIC_H

#include "../common/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
    uint8_t *bytes;
    size_t size;
};

struct traffic {
    size_t count;
    struct request *requests; /* `count` of them */
    uint8_t *pages;           /* `count` pages, in the order of the requests */
    uint8_t *bytes;           /* the contents of the file of requests */
};

/* Returns false, with one line in `error`, if a file cannot be read, if the requests are not
 * complete redos, or if the files do not match. The memory is kept until the process ends. */
bool traffic_load(struct traffic *traffic, const char *requests_path, const char *pages_path,
                  char *error, size_t error_size);

#endif
