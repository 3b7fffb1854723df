/*
 * The faults of PROTOCOL.md: the `--fault` notation, and at which redo a fault is due. misbehave.c
 * does what a fault asks for; nothing here does I/O.
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
    FAULT_CONSUMED_AHEAD,
    FAULT_CONSUMED_BEHIND,
    FAULT_READY_AHEAD,
    FAULT_READY_BEHIND,
    FAULT_COUNT,
};

enum fault_trigger { TRIGGER_NEVER, TRIGGER_AT, TRIGGER_EVERY, TRIGGER_CHANCE };

struct fault {
    enum fault_name name;
    uint64_t amount; /* in the unit of the fault: ms, us, bytes or pages */

    enum fault_trigger trigger;
    uint64_t number; /* K of at=K and every=K */
    double chance;
    uint64_t random; /* the state of splitmix64, initially the seed */
    uint64_t redos;  /* so far, including the last call of fault_is_due */
};

/* Large enough for a line with all valid names. */
#define FAULT_ERROR_BYTES 640

/* Parses the value of --fault. Returns false, with one line in `error`, if it is not valid. */
bool fault_parse(struct fault *fault, const char *text, char error[FAULT_ERROR_BYTES]);

/* Whether the fault is due at this redo. Must be called once for each redo, in order. */
bool fault_is_due(struct fault *fault);

/* Whether the fault uses system calls that the sandbox forbids, and must survive them. */
bool fault_needs_system_calls(const struct fault *fault);

/* Whether the fault is one of shared memory. */
bool fault_needs_memory(const struct fault *fault);

/* Whether the fault delays by spinning, and so needs a calibration. */
bool fault_spins(const struct fault *fault);

#endif
