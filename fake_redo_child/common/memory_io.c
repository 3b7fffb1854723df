/*
 * Implements memory_io.h.
 */
#define _GNU_SOURCE

#include "memory_io.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STALE_BYTES 512

__attribute__((format(printf, 2, 3))) static bool fail(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, MEMORY_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static bool check_power(const char *name, uint64_t value, uint64_t most, char *error)
{
    if (value > 0 && value <= most && (value & (value - 1)) == 0)
        return true;
    return fail(error, "%s is %" PRIu64 ", not a power of two up to %" PRIu64, name, value, most);
}

static bool check_header(const struct shared_memory *header, uint64_t size, char *error)
{
    if (memcmp(header->magic, SHARED_MAGIC, sizeof header->magic) != 0)
        return fail(error, "magic is not " SHARED_MAGIC);
    if (!check_power("ring_bytes", header->ring_bytes, MOST_RING_BYTES, error) ||
        !check_power("slots", header->slots, MOST_SLOTS, error))
        return false;
    if (header->page_bytes != PAGE_BYTES)
        return fail(error, "page_bytes is %" PRIu64 ", not %u", header->page_bytes, PAGE_BYTES);
    if (header->always_ring > 1)
        return fail(error, "always_ring is %" PRIu64 ", not 0 or 1", header->always_ring);
    uint64_t wanted = SHARED_HEAD_BYTES + header->ring_bytes + header->slots * PAGE_BYTES;
    if (size != wanted)
        return fail(error, "it has %" PRIu64 " bytes, but its header says %" PRIu64, size, wanted);
    return true;
}

bool memory_open(struct memory_io *io, int fd, char error[MEMORY_ERROR_BYTES])
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return fail(error, "not an open descriptor (errno %d)", errno);
    if (status.st_size < (off_t)SHARED_HEAD_BYTES)
        return fail(error, "it has %lld bytes, less than a header of %u", (long long)status.st_size,
                    SHARED_HEAD_BYTES);
    size_t size = (size_t)status.st_size;
    struct shared_memory *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        return fail(error, "cannot be mapped for reading and writing (errno %d)", errno);
    if (!check_header(memory, size, error)) {
        munmap(memory, size);
        return false;
    }
    *io = (struct memory_io){
        .memory = memory,
        .slots = memory->ring + memory->ring_bytes,
        .ring_bytes = memory->ring_bytes,
        .slot_count = memory->slots,
        .always_ring = memory->always_ring == 1,
        .backoff = {.rounds = shared_rounds(memory->spin_ns)},
    };
    return true;
}

bool memory_wait(struct memory_io *io, const _Atomic uint64_t *counter, uint64_t seen)
{
    static uint8_t stale[STALE_BYTES];
    _Atomic uint64_t *own_flag = &io->memory->child_sleeps;
    if (shared_spin_or_not(&io->backoff, counter, seen))
        return true;
    for (;;) {
        shared_will_sleep(own_flag, SLEEPS);
        ssize_t size = 1;
        if (shared_look(counter) == seen)
            size = read(STDIN_FILENO, stale, sizeof stale);
        if (size < 0 && errno != EINTR)
            die_of_errno(EXIT_FATAL, "cannot read", errno);
        shared_is_awake(own_flag);
        /* Also at the end of file: what came before it may have come after the last look. */
        if (shared_look(counter) != seen)
            return true;
        if (size == 0)
            return false;
    }
}

_Noreturn void memory_overrun(void)
{
    die(EXIT_FATAL, "more input is announced than the ring holds");
}
