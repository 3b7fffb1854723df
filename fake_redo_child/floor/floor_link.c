/*
 * Implements floor_link.h.
 */
#define _GNU_SOURCE

#include "floor_link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_BYTES (1024u * 1024u)
#define SLOTS 256u
#define MEMORY_BYTES (SHARED_HEAD_BYTES + RING_BYTES + SLOTS * PAGE_BYTES)
#define STALE_BYTES 512

#ifdef IOV_MAX
#define MOST_IOVECS IOV_MAX
#else
#define MOST_IOVECS 1024
#endif

/* Sets the error; returns -1. */
__attribute__((format(printf, 2, 3))) static int fail(struct link *link, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(link->error, sizeof link->error, format, arguments);
    va_end(arguments);
    return -1;
}

/* The same for a stream of the child that has ended. */
static int write_failed(struct link *link)
{
    link->child_gone = true;
    return fail(link, "cannot write to the child: %s", strerror(errno));
}

static int read_failed(struct link *link, ssize_t size)
{
    link->child_gone = true;
    if (size == 0)
        return fail(link, "the child closed its output");
    return fail(link, "cannot read from the child: %s", strerror(errno));
}

/* ---- pipes ---- */

static ssize_t pipe_send(struct link *link, const struct iovec *parts, size_t count)
{
    for (;;) {
        ssize_t size =
            writev(link->to_child, parts, count < MOST_IOVECS ? (int)count : MOST_IOVECS);
        link->write_calls++;
        if (size >= 0)
            return size;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return write_failed(link);
    }
}

/* Without unsent bytes no poll is needed: the blocking read waits as well, with one system call
 * less. */
static int pipe_wait(struct link *link, bool unsent)
{
    if (!unsent)
        return 1;
    struct pollfd both[] = {
        {.fd = link->from_child, .events = POLLIN},
        {.fd = link->to_child, .events = POLLOUT},
    };
    link->poll_calls++;
    while (poll(both, 2, -1) < 0)
        if (errno != EINTR)
            return fail(link, "cannot poll: %s", strerror(errno));
    return both[0].revents != 0;
}

static ssize_t pipe_receive(struct link *link, uint8_t *bytes, size_t size)
{
    ssize_t got = read(link->from_child, bytes, size);
    link->read_calls++;
    if (got > 0)
        return got;
    if (got < 0 && errno == EINTR)
        return 0;
    return read_failed(link, got);
}

/* ---- shared memory ---- */

static uint64_t pages_ready(const struct link *link)
{
    return shared_look(&link->memory->ready) - link->taken;
}

/* Whether the ring has more room than at the last link_send, which left none. */
static bool has_room(const struct link *link)
{
    return shared_look(&link->memory->consumed) != link->consumed;
}

/* Rings if the child sleeps; returns 0, or -1 and sets the error. One look at its flag is enough
 * for all counters stored before. */
static int ring(struct link *link)
{
    static const uint8_t bell = 0;
    link->rings_later = false;
    if (!shared_must_ring(&link->memory->child_sleeps, SLEEPS, false))
        return 0;
    for (;;) {
        ssize_t size = write(link->to_child, &bell, 1);
        link->write_calls++;
        if (size > 0 || (size < 0 && errno == EAGAIN)) /* full: the child wakes of other bytes */
            return 0;
        if (size == 0 || errno != EINTR)
            return write_failed(link);
    }
}

static ssize_t memory_send(struct link *link, const struct iovec *parts, size_t count)
{
    uint64_t consumed = shared_look(&link->memory->consumed);
    if (consumed - link->consumed > link->written - link->consumed)
        return fail(link, "the child says that it consumed %" PRIu64 " bytes of %" PRIu64, consumed,
                    link->written);
    link->consumed = consumed;
    size_t room = RING_BYTES - (size_t)(link->written - consumed), all = 0;
    for (size_t i = 0; i < count && all < room; i++) {
        const uint8_t *bytes = parts[i].iov_base;
        size_t left = parts[i].iov_len < room - all ? parts[i].iov_len : room - all;
        while (left > 0) {
            size_t at = (size_t)((link->written + all) % RING_BYTES);
            size_t now = left < RING_BYTES - at ? left : RING_BYTES - at;
            memcpy(link->memory->ring + at, bytes, now);
            bytes += now;
            left -= now;
            all += now;
        }
    }
    if (all == 0)
        return 0;
    link->written += all;
    shared_store(&link->memory->written, link->written);
    return ring(link) == 0 ? (ssize_t)all : -1;
}

static int memory_wait(struct link *link, bool unsent)
{
    static uint8_t stale[STALE_BYTES];
    struct shared_memory *memory = link->memory;
    if (link->rings_later && ring(link) != 0)
        return -1;
    if (pages_ready(link) != 0 || shared_spin_or_not(&link->backoff, &memory->ready, link->taken))
        return 1;
    for (;;) {
        shared_will_sleep(&memory->manager_sleeps, unsent ? SLEEPS_UNTIL_PAGE_OR_ROOM : SLEEPS);
        ssize_t size = 1;
        if (pages_ready(link) == 0 && !(unsent && has_room(link))) {
            size = read(link->from_child, stale, sizeof stale);
            link->read_calls++;
        }
        shared_is_awake(&memory->manager_sleeps);
        if (pages_ready(link) != 0)
            return 1;
        if (unsent && has_room(link))
            return 0;
        if (size == 0 || (size < 0 && errno != EINTR))
            return read_failed(link, size);
    }
}

static ssize_t memory_receive(struct link *link, uint8_t *bytes, size_t size)
{
    uint64_t count = pages_ready(link);
    if (count > SLOTS)
        return fail(link, "the child says that %" PRIu64 " pages are ready, of %u slots", count,
                    SLOTS);
    if (count > size / PAGE_BYTES)
        count = size / PAGE_BYTES;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *slots = link->memory->ring + RING_BYTES;
        memcpy(bytes + i * PAGE_BYTES, slots + (link->taken + i) % SLOTS * PAGE_BYTES, PAGE_BYTES);
    }
    link->taken += count;
    shared_store(&link->memory->taken, link->taken);
    link->rings_later = true;
    return (ssize_t)(count * PAGE_BYTES);
}

int link_share(struct link *link, uint64_t spin_ns)
{
    /* Inherited by the child. Nothing else is launched, and the caller closes it. */
    int fd = memfd_create("pipe_floor", MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, MEMORY_BYTES) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fail(link, "cannot make a sealed memory: %s", strerror(errno));
    struct shared_memory *memory =
        mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        return fail(link, "cannot map the memory: %s", strerror(errno));
    memcpy(memory->magic, SHARED_MAGIC, sizeof memory->magic);
    memory->ring_bytes = RING_BYTES;
    memory->slots = SLOTS;
    memory->page_bytes = PAGE_BYTES;
    memory->spin_ns = spin_ns;
    link->memory = memory;
    link->backoff.rounds = shared_rounds(spin_ns);
    return fd;
}

/* ---- either ---- */

ssize_t link_send(struct link *link, const struct iovec *parts, size_t count)
{
    return link->memory != NULL ? memory_send(link, parts, count) : pipe_send(link, parts, count);
}

int link_wait(struct link *link, bool unsent)
{
    return link->memory != NULL ? memory_wait(link, unsent) : pipe_wait(link, unsent);
}

ssize_t link_receive(struct link *link, uint8_t *bytes, size_t size)
{
    return link->memory != NULL ? memory_receive(link, bytes, size)
                                : pipe_receive(link, bytes, size);
}

int link_check_quiet(struct link *link)
{
    static uint8_t stale[STALE_BYTES];
    struct pollfd output = {.fd = link->from_child, .events = POLLIN};
    if (poll(&output, 1, 0) > 0) {
        /* Over shared memory bytes without a page are no answers: a late bell. */
        bool bytes = (output.revents & POLLIN) != 0;
        if (!bytes || (link->memory != NULL && read(link->from_child, stale, sizeof stale) == 0))
            return read_failed(link, 0);
        if (link->memory == NULL)
            return fail(link, "the child sent bytes that nobody asked for");
    }
    if (link->memory != NULL && pages_ready(link) != 0)
        return fail(link, "the child sent a page that nobody asked for");
    return 0;
}
