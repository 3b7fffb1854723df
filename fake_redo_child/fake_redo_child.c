/*
 * The redo child that is measured: options, CPU cost, sandbox, and the loop from read to write.
 *
 * What the bytes mean is redo_parser.c's business; PROTOCOL.md is the contract of both. The order
 * in main matters: everything that needs the system (closing descriptors, calibrating) comes before
 * the sandbox, and the first byte of input is read inside it.
 */
#define _GNU_SOURCE

#include "close_descriptors.h"
#include "redo_parser.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FATAL = 1, EXIT_USAGE = 2, EXIT_SANDBOX = 3 };

/* As much as a pipe can hold without privileges, so that one read takes all there is. */
#define INPUT_BYTES (1024u * 1024u)

#define MAX_COST_US 1000000.0

struct cost {
    double request_us;
    double record_us;
};

struct options {
    bool sandbox;
    struct cost cost;
};

struct child {
    struct cost cost;
    double spins_per_us;
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
    "  --help                   this text\n";

/* Whether the process may only read, write and leave; `leave` has to know. */
static bool in_sandbox = false;

/* ---- leaving and telling: with system calls that strict mode allows ---- */

_Noreturn static void leave(int status)
{
    /* Without the sandbox the usual way out, for what sanitizers and coverage do there. */
    if (!in_sandbox)
        exit(status);
    /* Not _exit(): that is exit_group, which strict mode answers with SIGKILL. */
    for (;;)
        syscall(SYS_exit, status);
}

static void tell(const char *kind, const char *text)
{
    char line[256];
    int size = snprintf(line, sizeof line, "%s: %s\n", kind, text);
    if (size >= (int)sizeof line)
        size = (int)sizeof line - 1;
    const char *at = line;
    while (size > 0) {
        ssize_t now = write(STDERR_FILENO, at, (size_t)size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            return; /* nobody listens */
        at += now;
        size -= (int)now;
    }
}

_Noreturn static void die(int status, const char *text)
{
    tell("FATAL", text);
    leave(status);
}

/* Without strerror, which may look for translations. */
_Noreturn static void die_of_errno(int status, const char *text, int number)
{
    char with_number[160];
    snprintf(with_number, sizeof with_number, "%s (errno %d)", text, number);
    die(status, with_number);
}

/* ---- CPU cost ---- */

static void spin(uint64_t rounds)
{
    uint64_t x = rounds;
    for (uint64_t i = 0; i < rounds; i++) {
        x = x * UINT64_C(6364136223846793005) + 1;
        __asm__ volatile("" : "+r"(x)); /* keeps the loop, and each round waiting for the last */
    }
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The fastest of many short trials: whatever disturbs one makes it slower, never faster. */
static double calibrate_spins_per_us(void)
{
    const uint64_t rounds = 100000;
    double best_us = 1e9;
    for (int trial = 0; trial < 50; trial++) {
        double start_us = now_us();
        spin(rounds);
        double took_us = now_us() - start_us;
        if (took_us < best_us)
            best_us = took_us;
    }
    /* A clock too coarse to see a trial must not make the speed infinite. */
    return (double)rounds / (best_us > 1.0 ? best_us : 1.0);
}

static void pay(const struct child *child, uint64_t records)
{
    double us = child->cost.request_us + child->cost.record_us * (double)records;
    if (us > 0.0)
        spin((uint64_t)(us * child->spins_per_us));
}

/* ---- pages out, bytes in ---- */

static bool answer(void *context, const struct redo_parser *parser, enum redo_answer what,
                   const uint8_t page[PAGE_BYTES])
{
    if (what == ANSWER_REDO)
        pay(context, parser->records);
    for (size_t done = 0; done < PAGE_BYTES;) {
        ssize_t now = write(STDOUT_FILENO, page + done, PAGE_BYTES - done);
        if (now > 0)
            done += (size_t)now;
        else if (now == 0 || errno != EINTR)
            die_of_errno(EXIT_FATAL, "cannot write a page: output is gone", now == 0 ? 0 : errno);
    }
    return true;
}

static void warn(void *context, const char *text)
{
    (void)context;
    tell("WARNING", text);
}

static int serve(struct child *child)
{
    static uint8_t input[INPUT_BYTES];
    static struct redo_parser parser;

    redo_start(&parser, (struct redo_owner){.answer = answer, .warn = warn, .context = child});
    for (;;) {
        ssize_t size = read(STDIN_FILENO, input, sizeof input);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            die_of_errno(EXIT_FATAL, "cannot read", errno);
        bool good = size > 0 ? redo_feed(&parser, input, (size_t)size) : redo_end(&parser);
        if (!good)
            die(EXIT_FATAL, parser.error);
        if (size == 0)
            return EXIT_SUCCESS;
    }
}

/* ---- start ---- */

static void enter_sandbox(void)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0)
        die_of_errno(EXIT_SANDBOX,
                     "cannot enter seccomp strict mode (is a container's seccomp filter on?); "
                     "--no-sandbox does without",
                     errno);
    in_sandbox = true;
}

_Noreturn static void bad_usage(const char *what, const char *argument)
{
    fprintf(stderr, "fake_redo_child: %s: %.80s (--help tells the options)\n", what, argument);
    exit(EXIT_USAGE);
}

/* The value of `--name VALUE` or `--name=VALUE`, or NULL if the argument is another option. */
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

/* Plain decimals only: strtod alone would take hexadecimal, infinity and more. */
static double cost_us(const char *text)
{
    size_t size = strlen(text), digits = strspn(text, "0123456789");
    if (text[digits] == '.')
        digits += 1 + strspn(text + digits + 1, "0123456789");
    double us = strtod(text, NULL);
    if (digits != size || size == strcspn(text, "0123456789") || us > MAX_COST_US)
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

static struct options parse_options(char **argv)
{
    struct options options = {.sandbox = true};
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
        } else {
            bad_usage("unknown option", argv[at]);
        }
    }
    return options;
}

int main(int argc, char **argv)
{
    if (argc < 1)
        return EXIT_USAGE; /* without even a name, argv[1] would be out of bounds */
    struct options options = parse_options(argv);
    struct child child = {.cost = options.cost};

    close_inherited_descriptors();
    /* So that a manager that has gone is an error of write, with a status, on every path. */
    signal(SIGPIPE, SIG_IGN);
    if (child.cost.request_us > 0.0 || child.cost.record_us > 0.0)
        child.spins_per_us = calibrate_spins_per_us();
    if (options.sandbox)
        enter_sandbox();
    leave(serve(&child));
}
