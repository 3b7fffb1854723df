/*
 * The shared memory of PROTOCOL.md: its layout, and what both sides do with its counters and flags.
 *
 * A side stores its own counters and loads the other's; it keeps its own in variables, never in the
 * memory alone. Nothing here makes a system call: whoever is told to ring writes the byte itself.
 */
#ifndef REDO_SHARED_RING_H
#define REDO_SHARED_RING_H

#include "protocol.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARED_MAGIC "WALREDO1"
#define SHARED_HEAD_BYTES 4096u
#define MOST_RING_BYTES (UINT64_C(1) << 30)
#define MOST_SLOTS (UINT64_C(1) << 16)
#define MOST_SPIN_NS UINT64_C(1000000)
#define MOST_SLEEPS_WITHOUT_SPIN 64u

/* Values of manager_sleeps; child_sleeps has only the first two. */
enum { AWAKE = 0, SLEEPS = 1, SLEEPS_UNTIL_PAGE_OR_ROOM = 2 };

/* Each counter and each flag has cache lines of its own. */
struct shared_memory {
    uint8_t magic[8];
    uint64_t ring_bytes;
    uint64_t slots;
    uint64_t page_bytes;
    uint64_t spin_ns;
    uint64_t always_ring;

    _Alignas(512) _Atomic uint64_t written;
    _Alignas(128) _Atomic uint64_t taken;
    _Alignas(128) _Atomic uint64_t manager_sleeps;

    _Alignas(1024) _Atomic uint64_t consumed;
    _Alignas(128) _Atomic uint64_t ready;
    _Alignas(128) _Atomic uint64_t child_sleeps;

    _Alignas(SHARED_HEAD_BYTES) uint8_t ring[]; /* ring_bytes, then the slots */
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2,
               "a counter is loaded and stored as one word");
_Static_assert(sizeof(_Atomic uint64_t) == 8, "a counter is a plain u64");
_Static_assert(offsetof(struct shared_memory, magic) == 0, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, ring_bytes) == 8, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, slots) == 16, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, page_bytes) == 24, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, spin_ns) == 32, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, always_ring) == 40, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, written) == 512, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, taken) == 640, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, manager_sleeps) == 768, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, consumed) == 1024, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, ready) == 1152, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, child_sleeps) == 1280, "as in PROTOCOL.md");
_Static_assert(offsetof(struct shared_memory, ring) == 4096, "as in PROTOCOL.md");

/* ---- counters and flags, for both sides ---- */

/* Loads a counter of the other side. What it announces may be read afterwards. */
static inline uint64_t shared_look(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_acquire);
}

/* Stores an own counter, after what it announces. shared_must_ring must follow before this side
 * sleeps. */
static inline void shared_store(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_release);
}

/*
 * Whether this side must ring after it has stored its counters: the other side sleeps for them (its
 * flag is at least `least`), or the memory asks for it always.
 *
 * The fence orders the stores of the counters before the load of the flag, as shared_will_sleep
 * orders the store of the flag before the next look at the counters. So at least one side sees the
 * other's store, and no wake-up is lost. Release and acquire alone do not give this, also not on
 * x86-64.
 */
static inline bool shared_must_ring(_Atomic uint64_t *sleeps, uint64_t least, bool always_ring)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!always_ring && atomic_load_explicit(sleeps, memory_order_relaxed) < least)
        return false;
    /* Before the byte: clearing it later could hide that the other side sleeps again. */
    atomic_store_explicit(sleeps, AWAKE, memory_order_relaxed);
    return true;
}

/* Announces that this side will sleep. It must look at the counters once more before it does. */
static inline void shared_will_sleep(_Atomic uint64_t *own_flag, uint64_t value)
{
    atomic_store_explicit(own_flag, value, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

static inline void shared_is_awake(_Atomic uint64_t *own_flag)
{
    atomic_store_explicit(own_flag, AWAKE, memory_order_relaxed);
}

/* ---- spinning ---- */

static inline void shared_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Looks at a counter until it is not `seen`, for this many rounds; returns whether it changed. */
static inline bool shared_spin(const _Atomic uint64_t *counter, uint64_t seen, uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++) {
        if (shared_look(counter) != seen)
            return true;
        shared_pause();
    }
    return false;
}

/* Spins that find nothing become rare: on one CPU they only take the other side's time. */
struct shared_backoff {
    uint64_t rounds; /* of one spin; 0: none at all */
    uint32_t without_spin, left;
};

/* shared_spin with back-off. Returns false, without a look, while it is to sleep without a spin. */
static inline bool shared_spin_or_not(struct shared_backoff *b, const _Atomic uint64_t *counter,
                                      uint64_t seen)
{
    if (b->rounds == 0)
        return false;
    if (b->left > 0) {
        b->left--;
        return false;
    }
    if (shared_spin(counter, seen, b->rounds)) {
        b->without_spin = 0;
        return true;
    }
    b->without_spin = b->without_spin == 0 ? 1 : 2 * b->without_spin;
    if (b->without_spin > MOST_SLEEPS_WITHOUT_SPIN)
        b->without_spin = MOST_SLEEPS_WITHOUT_SPIN;
    b->left = b->without_spin;
    return false;
}

/* How many rounds shared_spin does in this time, at most MOST_SPIN_NS. Reads a clock, so it must
 * run before the sandbox is entered. */
uint64_t shared_rounds(uint64_t spin_ns);

#endif
