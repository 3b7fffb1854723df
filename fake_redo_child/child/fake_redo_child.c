/*
 * The redo child that is measured: options, CPU cost, sandbox, and the loop from read to write.
 *
 * redo_parser.c interprets the input; PROTOCOL.md specifies both. The order in main matters:
 * everything that needs other system calls (mapping memory, closing descriptors, calibrating) comes
 * before the sandbox, and the first byte of input is read inside it.
 */
#define _GNU_SOURCE

#include "../common/child_io.h"
#include "../common/close_descriptors.h"
#include "../common/decimal.h"
#include "../common/memory_io.h"
#include "../faults/misbehave.h"
#include "redo_parser.h"
#include "../common/spin.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The most that a pipe can hold without privilege, so that one read empties it. */
#define INPUT_BYTES (1024u * 1024u)

#define MAX_COST_US 1000000.0

struct cost {
    double request_us;
    double record_us;
};

struct options {
    bool sandbox;
    struct cost cost;
    struct fault fault;
    const char *shared_memory; /* the text of a descriptor; NULL: pipes */
};

struct child {
    struct cost cost;
    double spins_per_us;
    struct misbehaviour misbehaviour;
    struct memory_io memory;
};

static const struct {
    const char *name;
    struct cost cost;
} cost_presets[] = {
    {"none", {0.0, 0.0}},
    {"pg14", {9.0, 0.5}},
};

static const char help_text[] =
    "usage: fake_redo_child [OPTION]...\n"
    "Reads redo requests on standard input, answers pages on standard output (PROTOCOL.md).\n"
    "\n"
    "  --no-sandbox             do not enter seccomp strict mode\n"
    "  --cost NAME              added CPU cost: none (default), or\n"
    "                           pg14 (9 us per request, 0.5 us per record)\n"
    "  --cost-per-request-us X  added CPU cost of a redo, in microseconds\n"
    "  --cost-per-record-us Y   added CPU cost of each record, in microseconds\n"
    "  --shared-memory FD       requests and pages go through the memory of this descriptor\n"
    "  --fault NAME[:KEY=VALUE[,KEY=VALUE]...]\n"
    "                           misbehave on purpose; PROTOCOL.md has the names and keys\n"
    "  --help                   this text\n";

/* ---- CPU cost ---- */

static void pay(const struct child *child, uint64_t records)
{
    double us = child->cost.request_us + child->cost.record_us * (double)records;
    if (us > 0.0)
        spin((uint64_t)(us * child->spins_per_us));
}

/* ---- pages out ---- */

static bool answer(void *context, const struct redo_parser *parser, enum redo_answer what,
                   const uint8_t page[PAGE_BYTES])
{
    if (what == ANSWER_REDO)
        pay(context, parser->records);
    write_page_bytes(page, PAGE_BYTES);
    return true;
}

static bool answer_in_memory(void *context, const struct redo_parser *parser, enum redo_answer what,
                             const uint8_t page[PAGE_BYTES])
{
    struct child *child = context;
    if (what == ANSWER_REDO)
        pay(child, parser->records);
    memory_put(&child->memory, page, PAGE_BYTES);
    return true;
}

/* A function of its own, so that a child without a fault does not test for one in every redo. */
static bool answer_with_fault(void *context, const struct redo_parser *parser,
                              enum redo_answer what, const uint8_t page[PAGE_BYTES])
{
    struct child *child = context;
    if (what != ANSWER_REDO) {
        misbehave_not(&child->misbehaviour, page);
        return true;
    }
    pay(child, parser->records);
    misbehave_in_reply(&child->misbehaviour, page);
    return true;
}

static void warn(void *context, const char *text)
{
    (void)context;
    tell("WARNING", text);
}

/* ---- bytes in ---- */

/* Where requests come from and pages go to. */
struct transport {
    bool (*answer)(void *context, const struct redo_parser *parser, enum redo_answer what,
                   const uint8_t page[PAGE_BYTES]);
    size_t (*input)(struct child *child, const uint8_t **bytes); /* 0: the end of input */
    void (*consume)(struct child *child, size_t size);           /* the bytes of `input` */
};

static size_t input_of_pipe(struct child *child, const uint8_t **bytes)
{
    static uint8_t input[INPUT_BYTES];
    (void)child;
    *bytes = input;
    for (;;) {
        ssize_t size = read(STDIN_FILENO, input, sizeof input);
        if (size >= 0)
            return (size_t)size;
        if (errno != EINTR)
            die_of_errno(EXIT_FATAL, "cannot read", errno);
    }
}

static void consume_of_pipe(struct child *child, size_t size)
{
    (void)child;
    (void)size;
}

static size_t input_of_memory(struct child *child, const uint8_t **bytes)
{
    return memory_input(&child->memory, bytes);
}

static void consume_of_memory(struct child *child, size_t size)
{
    memory_consume(&child->memory, size);
}

/* Inlined into a loop for each transport, so that no loop looks up which one it has. */
__attribute__((always_inline)) static inline int serve(struct child *child,
                                                       const struct transport transport)
{
    static struct redo_parser parser;
    bool faulty = child->misbehaviour.fault.name != FAULT_NONE;

    redo_start(&parser, (struct redo_owner){.answer = faulty ? answer_with_fault : transport.answer,
                                            .warn = warn,
                                            .context = child});
    for (;;) {
        const uint8_t *bytes;
        size_t size = transport.input(child, &bytes);
        if (size == 0)
            misbehave_at_end(&child->misbehaviour);
        bool good = size > 0 ? redo_feed(&parser, bytes, size) : redo_end(&parser);
        if (!good)
            die(EXIT_FATAL, parser.error);
        if (size == 0)
            return EXIT_SUCCESS;
        transport.consume(child, size);
    }
}

static int serve_pipes(struct child *child)
{
    return serve(child, (struct transport){answer, input_of_pipe, consume_of_pipe});
}

static int serve_memory(struct child *child)
{
    return serve(child, (struct transport){answer_in_memory, input_of_memory, consume_of_memory});
}

/* ---- start ---- */

_Noreturn static void bad_usage(const char *what, const char *argument)
{
    fprintf(stderr, "fake_redo_child: %s: %.80s (--help tells the options)\n", what, argument);
    exit(EXIT_USAGE);
}

/* The value of `--name VALUE` or `--name=VALUE`; NULL if the argument is another option. */
static const char *option_value(const char *name, char **argv, int *at)
{
    size_t size = strlen(name);
    const char *argument = argv[*at];
    if (strncmp(argument, name, size) != 0)
        return NULL;
    if (argument[size] == '=')
        return argument + size + 1;
    if (argument[size] != '\0')
        return NULL;
    if (argv[*at + 1] == NULL)
        bad_usage("option needs a value", name);
    return argv[++*at];
}

static double cost_us(const char *text)
{
    double us;
    if (!plain_decimal(text, strlen(text), &us) || us > MAX_COST_US)
        bad_usage("not a number of microseconds from 0 to 1000000", text);
    return us;
}

static struct cost cost_preset(const char *name)
{
    for (size_t i = 0; i < sizeof cost_presets / sizeof *cost_presets; i++)
        if (strcmp(name, cost_presets[i].name) == 0)
            return cost_presets[i].cost;
    bad_usage("unknown cost, not one of none, pg14", name);
}

static struct fault fault_option(const char *text)
{
    struct fault fault;
    char error[FAULT_ERROR_BYTES];
    if (fault_parse(&fault, text, error))
        return fault;
    fprintf(stderr, "fake_redo_child: %s (--help tells the options)\n", error);
    exit(EXIT_USAGE);
}

/* Maps the memory of --shared-memory. */
static void share_memory(struct memory_io *io, const char *text)
{
    uint64_t fd;
    char error[MEMORY_ERROR_BYTES];
    if (!whole_number(text, strlen(text), &fd) || fd <= STDERR_FILENO || fd > INT_MAX)
        bad_usage("not the number of a descriptor above 2", text);
    if (memory_open(io, (int)fd, error))
        return;
    fprintf(stderr, "fake_redo_child: shared memory of descriptor %d: %s\n", (int)fd, error);
    exit(EXIT_USAGE);
}

static struct options parse_options(char **argv)
{
    struct options options = {.sandbox = true};
    const char *fault = "";
    for (int at = 1; argv[at] != NULL; at++) {
        const char *value;
        if (strcmp(argv[at], "--no-sandbox") == 0) {
            options.sandbox = false;
        } else if (strcmp(argv[at], "--help") == 0) {
            fputs(help_text, stdout);
            exit(EXIT_SUCCESS);
        } else if ((value = option_value("--cost", argv, &at)) != NULL) {
            options.cost = cost_preset(value);
        } else if ((value = option_value("--cost-per-request-us", argv, &at)) != NULL) {
            options.cost.request_us = cost_us(value);
        } else if ((value = option_value("--cost-per-record-us", argv, &at)) != NULL) {
            options.cost.record_us = cost_us(value);
        } else if ((value = option_value("--shared-memory", argv, &at)) != NULL) {
            options.shared_memory = value;
        } else if ((value = option_value("--fault", argv, &at)) != NULL) {
            options.fault = fault_option(value);
            fault = value;
        } else {
            bad_usage("unknown option", argv[at]);
        }
    }
    if (options.shared_memory == NULL && fault_needs_memory(&options.fault))
        bad_usage("fault needs --shared-memory", fault);
    return options;
}

int main(int argc, char **argv)
{
    if (argc < 1)
        return EXIT_USAGE; /* without a program name argv[1] would be out of bounds */
    struct options options = parse_options(argv);
    struct child child = {.cost = options.cost, .misbehaviour = {.fault = options.fault}};

    if (options.shared_memory != NULL) {
        share_memory(&child.memory, options.shared_memory);
        child.misbehaviour.memory = &child.memory;
    }
    close_inherited_descriptors();
    /* If the manager has gone, write then fails and the child exits with a status and a message. */
    signal(SIGPIPE, SIG_IGN);
    if (child.cost.request_us > 0.0 || child.cost.record_us > 0.0)
        child.spins_per_us = calibrate_spins_per_us();
    if (options.fault.name != FAULT_NONE)
        misbehave_at_start(&child.misbehaviour);
    if (options.sandbox && !fault_needs_system_calls(&options.fault))
        enter_sandbox();
    leave(options.shared_memory != NULL ? serve_memory(&child) : serve_pipes(&child));
}
