/*
 * Implements misbehave.h. Seccomp strict mode forbids sleep, close and kill. So a delay is a busy
 * loop, and faults that need other system calls run without the sandbox (PROTOCOL.md says which).
 */
#define _GNU_SOURCE

#include "misbehave.h"

#include "../common/child_io.h"
#include "../common/spin.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOISE_BYTES (1024u * 1024u)
#define NOISE_LINE_BYTES 64u

static const char opened_file[] = "/dev/null";

/* Reads nothing and answers nothing until a signal ends the process. A child must not outlive its
 * manager, so it also ends when its parent changes. */
_Noreturn static void stay(const struct misbehaviour *m)
{
    while (getppid() == m->manager)
        sleep(1);
    leave(EXIT_SUCCESS);
}

/* Strict mode forbids getpid(2) and kill(2), but it enforces that with the same SIGKILL. */
static void be_killed(void)
{
    kill(getpid(), SIGKILL);
}

static void spin_us(const struct misbehaviour *m, double us)
{
    spin((uint64_t)(us * m->spins_per_us));
}

static void put(const struct misbehaviour *m, const uint8_t *bytes, size_t size)
{
    if (m->memory != NULL)
        memory_put(m->memory, bytes, size);
    else
        write_page_bytes(bytes, size);
}

static void drip(const struct misbehaviour *m, const uint8_t *page)
{
    for (size_t at = 0; at < PAGE_BYTES; at++) {
        if (at > 0)
            spin_us(m, (double)m->fault.amount);
        put(m, page + at, 1);
    }
}

static void make_noise(bool in_lines)
{
    static uint8_t noise[64 * NOISE_LINE_BYTES];
    static const char start[] = "WARNING: fault stderr-lines ";
    memset(noise, 'x', sizeof noise);
    if (in_lines) {
        for (size_t at = 0; at < sizeof noise; at += NOISE_LINE_BYTES) {
            memcpy(noise + at, start, sizeof start - 1);
            noise[at + NOISE_LINE_BYTES - 1] = '\n';
        }
    }
    for (size_t done = 0; done < NOISE_BYTES; done += sizeof noise)
        if (!write_all(STDERR_FILENO, noise, sizeof noise))
            return; /* standard error is closed */
}

static void open_a_file(void)
{
    int fd = open(opened_file, O_RDONLY);
    tell("WARNING", fd >= 0 ? "fault open-file: it could be opened"
                            : "fault open-file: it could not be opened");
    if (fd >= 0)
        close(fd);
}

static void pause_ms(uint64_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

/* From here on a counter is published with an error, at once and at each later publication. The
 * child goes on with the true one. */
static void lie_in_consumed(struct memory_io *memory, uint64_t error)
{
    memory->consumed_lie += error;
    memory_consume(memory, 0);
}

static void lie_in_ready(struct memory_io *memory, uint64_t error)
{
    memory->ready_lie += error; /* the page of this redo publishes it */
}

void misbehave_at_start(struct misbehaviour *m)
{
    m->manager = getppid();
    if (fault_spins(&m->fault))
        m->spins_per_us = calibrate_spins_per_us();
    if (m->fault.name == FAULT_START_SLOWLY)
        pause_ms(m->fault.amount);
    else if (m->fault.name == FAULT_FAIL_TO_START)
        die(EXIT_FATAL, "fault fail-to-start");
}

void misbehave_at_end(const struct misbehaviour *m)
{
    if (m->fault.name == FAULT_IGNORE_EOF)
        stay(m);
}

/* What happens before the page. Some faults never return. */
static void before_reply(const struct misbehaviour *m, const uint8_t *page)
{
    switch (m->fault.name) {
    case FAULT_EXIT_BEFORE_REPLY:
        leave(EXIT_FAULT);
    case FAULT_EXIT_IN_REPLY:
        put(m, page, PAGE_BYTES / 2);
        leave(EXIT_FAULT);
    case FAULT_KILLED:
        be_killed();
        break;
    case FAULT_HANG:
        stay(m);
    case FAULT_CLOSE_STDOUT:
        close(STDOUT_FILENO);
        stay(m);
    case FAULT_LATE:
        spin_us(m, (double)m->fault.amount * 1e3);
        break;
    case FAULT_STDERR_LINES:
    case FAULT_STDERR_BLOB:
        make_noise(m->fault.name == FAULT_STDERR_LINES);
        break;
    case FAULT_OPEN_FILE:
        open_a_file();
        break;
    case FAULT_CONSUMED_AHEAD:
        lie_in_consumed(m->memory, m->fault.amount);
        break;
    case FAULT_CONSUMED_BEHIND:
        lie_in_consumed(m->memory, -m->fault.amount);
        break;
    case FAULT_READY_AHEAD:
        lie_in_ready(m->memory, m->fault.amount);
        break;
    case FAULT_READY_BEHIND:
        lie_in_ready(m->memory, -m->fault.amount);
        break;
    default:
        break;
    }
}

static void reply(const struct misbehaviour *m, const uint8_t *page)
{
    switch (m->fault.name) {
    case FAULT_DRIP:
        drip(m, page);
        break;
    case FAULT_SHORT_REPLY:
        put(m, page, PAGE_BYTES - m->fault.amount);
        if (m->memory != NULL)
            memory_drop_part(m->memory);
        break;
    case FAULT_EXTRA_PAGE:
        put(m, page, PAGE_BYTES);
        put(m, page, PAGE_BYTES);
        break;
    default:
        put(m, page, PAGE_BYTES);
        break;
    }
}

static void after_reply(const struct misbehaviour *m)
{
    switch (m->fault.name) {
    case FAULT_EXIT_AFTER_REPLY:
        leave(EXIT_FAULT);
    case FAULT_CLOSE_STDIN:
        close(STDIN_FILENO);
        stay(m);
    default:
        break;
    }
}

void misbehave_in_reply(struct misbehaviour *m, const uint8_t page[PAGE_BYTES])
{
    if (!fault_is_due(&m->fault)) {
        put(m, page, PAGE_BYTES);
        return;
    }
    before_reply(m, page);
    reply(m, page);
    after_reply(m);
}

void misbehave_not(struct misbehaviour *m, const uint8_t page[PAGE_BYTES])
{
    put(m, page, PAGE_BYTES);
}
