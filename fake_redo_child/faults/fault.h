/*
 * The faults of PROTOCOL.md: what `--fault` asks for, and at which redo it is due. What a fault does
 * is misbehave.c's business; nothing here does I/O.
 */
#ifndef REDO_FAULT_H
#define REDO_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum fault_name {
    FAULT_NONE,
    FAULT_EXIT_BEFORE_REPLY,
    FAULT_EXIT_IN_REPLY,
    FAULT_EXIT_AFTER_REPLY,
    FAULT_KILLED,
    FAULT_HANG,
    FAULT_LATE,
    FAULT_DRIP,
    FAULT_SHORT_REPLY,
    FAULT_EXTRA_PAGE,
    FAULT_CLOSE_STDOUT,
    FAULT_CLOSE_STDIN,
    FAULT_STDERR_LINES,
    FAULT_STDERR_BLOB,
    FAULT_OPEN_FILE,
    FAULT_START_SLOWLY,
    FAULT_FAIL_TO_START,
    FAULT_IGNORE_EOF,
    FAULT_COUNT,
};

enum fault_trigger { TRIGGER_NEVER, TRIGGER_AT, TRIGGER_EVERY, TRIGGER_CHANCE };

struct fault {
    enum fault_name name;
    uint64_t amount; /* ms, us or bytes, as the fault has it */

    enum fault_trigger trigger;
    uint64_t number; /* K of at=K and every=K */
    double chance;
    uint64_t random; /* the state of splitmix64; the seed to begin with */
    uint64_t redos;  /* answered so far, with the one that fault_is_due was asked about */
};

/* All valid names make a line of this size. */
#define FAULT_ERROR_BYTES 512

/* What --fault says. False, with one line in `error`: it is not valid. */
bool fault_parse(struct fault *fault, const char *text, char error[FAULT_ERROR_BYTES]);

/* To be asked once for each redo, in order. */
bool fault_is_due(struct fault *fault);

/* It does what the sandbox forbids, and is meant to survive that. */
bool fault_needs_system_calls(const struct fault *fault);

/* It passes time inside the sandbox. */
bool fault_spins(const struct fault *fault);

#endif
