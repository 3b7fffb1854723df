/*
 * Implements floor_traffic.h.
 */
#define _GNU_SOURCE

#include "floor_traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads rather than maps: the timed part must have no page fault and no disk access. */
static uint8_t *read_whole(const char *path, size_t *size, char *error, size_t error_size)
{
    uint8_t *bytes = NULL;
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0)
        goto failed;
    size_t capacity = (size_t)about.st_size + 1; /* one more, to detect the end of the file */
    bytes = malloc(capacity);
    if (bytes == NULL)
        goto failed;
    for (*size = 0;;) {
        ssize_t now = read(fd, bytes + *size, capacity - *size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            goto failed;
        if (now == 0)
            break;
        *size += (size_t)now;
        if (*size == capacity) {
            errno = EFBIG; /* it grows, or is not a regular file */
            goto failed;
        }
    }
    close(fd);
    return bytes;

failed:
    snprintf(error, error_size, "cannot read %s: %s", path, strerror(errno));
    free(bytes);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* The size of the message at `at`; 0 if it is incomplete or not of this protocol. */
static size_t message_size(const uint8_t *at, size_t left)
{
    if (left < HEADER_BYTES || memchr("BPAGH", at[0], 5) == NULL)
        return 0;
    uint32_t length = big_endian_u32(at + 1);
    if (length < LENGTH_BYTES || length > left - 1)
        return 0;
    return 1 + (size_t)length;
}

static size_t count_answers(const uint8_t *bytes, size_t size, size_t *bad_at)
{
    size_t answers = 0;
    bool ends_with_answer = true;
    size_t at = 0;
    while (at < size) {
        size_t message = message_size(bytes + at, size - at);
        if (message == 0)
            break;
        ends_with_answer = bytes[at] == MESSAGE_GET || bytes[at] == MESSAGE_PING;
        answers += ends_with_answer;
        at += message;
    }
    *bad_at = at;
    return at == size && ends_with_answer ? answers : 0;
}

bool traffic_load(struct traffic *traffic, const char *requests_path, const char *pages_path,
                  char *error, size_t error_size)
{
    size_t size, pages_size, at;
    uint8_t *bytes = traffic->bytes = read_whole(requests_path, &size, error, error_size);
    if (bytes == NULL)
        return false;
    traffic->count = count_answers(bytes, size, &at);
    if (traffic->count == 0) {
        snprintf(error, error_size, "%s is no sequence of whole redos: it ends or is wrong at byte %zu",
                 requests_path, at);
        return false;
    }
    traffic->pages = read_whole(pages_path, &pages_size, error, error_size);
    if (traffic->pages == NULL)
        return false;
    if (pages_size != traffic->count * PAGE_BYTES) {
        snprintf(error, error_size, "%s has %zu bytes: the %zu redos of %s have %zu bytes of pages",
                 pages_path, pages_size, traffic->count, requests_path,
                 traffic->count * (size_t)PAGE_BYTES);
        return false;
    }
    traffic->requests = calloc(traffic->count, sizeof *traffic->requests);
    if (traffic->requests == NULL) {
        snprintf(error, error_size, "out of memory");
        return false;
    }
    struct request *request = traffic->requests;
    request->bytes = bytes;
    for (at = 0; at < size;) {
        uint8_t type = bytes[at];
        at += message_size(bytes + at, size - at);
        if (type == MESSAGE_GET || type == MESSAGE_PING) {
            request->size = (size_t)(bytes + at - request->bytes);
            if (at < size)
                (++request)->bytes = bytes + at;
        }
    }
    return true;
}
