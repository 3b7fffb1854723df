/*
 * Input and output of a child over shared memory. After memory_open it uses only the system calls
 * that seccomp strict mode allows. Nothing here knows the protocol's messages.
 */
#ifndef REDO_MEMORY_IO_H
#define REDO_MEMORY_IO_H

#include "child_io.h"
#include "shared_ring.h"

#include <string.h>

/* The most that the parser gets at once, so that a large batch frees the ring in steps. */
#define PIECE_BYTES (64u * 1024u)

struct memory_io {
    struct shared_memory *memory; /* NULL: the child uses pipes */
    uint8_t *slots;
    /* From the header, which is not read again. */
    uint64_t ring_bytes, slot_count;
    bool always_ring;

    uint64_t consumed, ready; /* the own counters */
    uint64_t taken;           /* as last seen */
    size_t filled;            /* bytes in the current slot */
    struct shared_backoff backoff;

    /* Added to what is published. Only faults change them. */
    uint64_t consumed_lie, ready_lie;
};

#define MEMORY_ERROR_BYTES 160

/* Checks the memory of a descriptor and maps it. Returns false, with one line in `error`, if it is
 * not what PROTOCOL.md says. Must be called before the sandbox is entered; the descriptor can be
 * closed afterwards. */
bool memory_open(struct memory_io *io, int fd, char error[MEMORY_ERROR_BYTES]);

/* Spins or sleeps until a counter of the manager is not `seen`. Returns false if it still is and
 * the doorbell has come to its end of file: the manager is gone, or wants the child to end. */
bool memory_wait(struct memory_io *io, const _Atomic uint64_t *counter, uint64_t seen);

_Noreturn void memory_overrun(void);

static inline void memory_ring(void)
{
    static const uint8_t bell = 0;
    write_page_bytes(&bell, 1); /* the error is the one of a page over pipes */
}

/* The next bytes of the input, in place; waits for them. Returns 0 at the end of input. */
static inline size_t memory_input(struct memory_io *io, const uint8_t **bytes)
{
    uint64_t written = shared_look(&io->memory->written);
    if (written == io->consumed) {
        if (!memory_wait(io, &io->memory->written, io->consumed))
            return 0;
        written = shared_look(&io->memory->written);
    }
    uint64_t size = written - io->consumed;
    if (size > io->ring_bytes)
        memory_overrun();
    uint64_t at = io->consumed & (io->ring_bytes - 1);
    if (size > io->ring_bytes - at)
        size = io->ring_bytes - at;
    *bytes = io->memory->ring + at;
    return size < PIECE_BYTES ? (size_t)size : PIECE_BYTES;
}

/* Gives bytes of memory_input back to the manager. */
static inline void memory_consume(struct memory_io *io, size_t size)
{
    io->consumed += size;
    shared_store(&io->memory->consumed, io->consumed + io->consumed_lie);
    if (shared_must_ring(&io->memory->manager_sleeps, SLEEPS_UNTIL_PAGE_OR_ROOM, io->always_ring))
        memory_ring();
}

static inline void memory_wait_for_slot(struct memory_io *io)
{
    /* Signed, since a manager that believed a lie may have taken more than there is. */
    while ((int64_t)(io->ready - io->taken) >= (int64_t)io->slot_count) {
        uint64_t seen = io->taken;
        io->taken = shared_look(&io->memory->taken);
        if (io->taken == seen && !memory_wait(io, &io->memory->taken, seen))
            die(EXIT_FATAL, "cannot write a page: no slot is free, and input has ended");
    }
}

/* Forgets the part of a page that is in the current slot: the next page begins there. */
static inline void memory_drop_part(struct memory_io *io)
{
    io->filled = 0;
}

/* Puts bytes into the current slot, and publishes it once it is full. Waits for a free slot. */
static inline void memory_put(struct memory_io *io, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        if (io->filled == 0)
            memory_wait_for_slot(io);
        uint8_t *slot = io->slots + (io->ready & (io->slot_count - 1)) * PAGE_BYTES;
        size_t room = PAGE_BYTES - io->filled;
        size_t now = size < room ? size : room;
        memcpy(slot + io->filled, bytes, now);
        bytes += now;
        size -= now;
        io->filled += now;
        if (io->filled < PAGE_BYTES)
            return;
        io->filled = 0;
        io->ready++;
        shared_store(&io->memory->ready, io->ready + io->ready_lie);
        if (shared_must_ring(&io->memory->manager_sleeps, SLEEPS, io->always_ring))
            memory_ring();
    }
}

#endif
