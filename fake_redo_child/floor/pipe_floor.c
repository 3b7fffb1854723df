/*
 * The floor: the cost of the traffic of N clients for a C program that does nothing else.
 *
 *     pipe_floor --requests FILE --pages FILE --window N [--pipe-bytes B] [--ends yes]
 *         [--transport shm [--spin-us X]] -- CHILD ...
 *
 * The file of requests holds complete redos in wire format, the file of pages their pages in the
 * same order. With --transport shm requests and pages go through shared memory, and both sides may
 * spin for X us before they sleep. The program prints `ready PID` (of the child) on standard output
 * once the child has answered a ping. Then it reads commands from standard input, one per line:
 *
 *     slice NANOSECONDS   measures for this time; answers `slice BYTES READS WRITES POLLS` (the last
 *                         three count system calls), then BYTES bytes of native int64: start_ns,
 *                         end_ns (both since the slice's start) and redos of each client, then every
 *                         latency in ns, client after client; with --ends yes then the end of
 *                         every redo in ns since the slice's start, client after client
 *     stop                ends the program, as does the end of input
 *
 * Exit status: 0 after `stop`; 1 if the child failed or sent a wrong page; 2 for bad usage, files
 * or commands. This file has the options, the child's process and the commands; floor_slice.c
 * measures.
 */
#define _GNU_SOURCE

#include "../common/close_descriptors.h"
#include "floor_link.h"
#include "floor_slice.h"
#include "floor_traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_CHILD = 1, EXIT_USAGE = 2 };

#define MOST_CLIENTS 65536
#define STOP_GRACE_MS 1000
#define DEAD_GRACE_MS 100

static const char usage_text[] = "usage: pipe_floor --requests FILE --pages FILE --window N "
                                 "[--pipe-bytes B] [--ends yes] "
                                 "[--transport pipe|shm] [--spin-us X] -- CHILD [ARGUMENT]...\n";

/* The child, also for the signal handler; 0 while there is none. */
static volatile sig_atomic_t child_pid = 0;
static struct link child_link = {.to_child = -1, .from_child = -1};

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "pipe_floor: %s\n", line);
}

/* ---- the child's process ---- */

static sigset_t ending_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    return signals;
}

/* Kills the child, then ends this process by the same signal. All of it is done in the handler,
 * with calls that are safe there, since a flag set just before a blocking read would be seen too
 * late. */
static void on_ending_signal(int number)
{
    pid_t pid = (pid_t)child_pid;
    if (pid > 0) {
        kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    signal(number, SIG_DFL);
    raise(number); /* blocked in the handler, so it takes effect when the handler returns */
}

static void catch_ending_signals(void)
{
    struct sigaction action = {.sa_handler = on_ending_signal, .sa_mask = ending_signals()};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* write then fails with EPIPE if the child or the parent is gone */
}

static void set_pipe_bytes(int fd, int wanted)
{
    if (fcntl(fd, F_SETPIPE_SZ, wanted) < 0)
        tell("a pipe keeps its %d bytes, %d are not allowed: %s", fcntl(fd, F_GETPIPE_SZ), wanted,
             strerror(errno));
}

/* Launches the child with an empty environment, no inherited descriptors and its own process group,
 * so that Ctrl-C in a terminal reaches only this process. Returns 0 or an errno. */
static int launch(char **child_argv, int pipe_bytes)
{
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
        return errno;
    if (pipe_bytes > 0) {
        set_pipe_bytes(input[1], pipe_bytes);
        set_pipe_bytes(output[0], pipe_bytes);
    }

    sigset_t ending = ending_signals(), defaults = ending, before;
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &defaults);

    /* A signal between the spawn and the store of the pid would leave the child running. */
    sigprocmask(SIG_BLOCK, &ending, &before);
    posix_spawnattr_setsigmask(&attributes, &before);
    char *no_environment[] = {NULL};
    pid_t pid = 0;
    int failure =
        posix_spawnp(&pid, child_argv[0], &actions, &attributes, child_argv, no_environment);
    if (failure == 0)
        child_pid = (sig_atomic_t)pid;
    sigprocmask(SIG_SETMASK, &before, NULL);

    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    child_link.to_child = input[1];
    child_link.from_child = output[0];
    /* Affects this end only: the child's end of the pipe is another open file. */
    fcntl(input[1], F_SETFL, fcntl(input[1], F_GETFL) | O_NONBLOCK);
    return failure;
}

/* Reaps the child if it has ended; returns whether it did. Signals are blocked meanwhile, because
 * the handler must not kill a reused pid. */
static bool reap(int *status, int flags)
{
    sigset_t ending = ending_signals(), before;
    sigprocmask(SIG_BLOCK, &ending, &before);
    pid_t got;
    while ((got = waitpid((pid_t)child_pid, status, flags)) < 0 && errno == EINTR)
        ;
    if (got != 0)
        child_pid = 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return got != 0;
}

/* Closes the child's input, at which it should exit, and waits for `grace_ms`. Kills it if it has
 * not ended by then. Returns its wait status, or -1 if it was killed. */
static int end_child(int grace_ms)
{
    int status = 0;
    close(child_link.to_child);
    for (int waited_ms = 0; waited_ms < grace_ms; waited_ms++) {
        if (reap(&status, WNOHANG))
            return status;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (reap(&status, WNOHANG))
        return status;
    kill(-(pid_t)child_pid, SIGKILL);
    reap(&status, 0);
    return -1;
}

static void tell_how_it_ended(pid_t pid, int status)
{
    if (status == -1)
        tell("child %ld was killed by this program", (long)pid);
    else if (WIFSIGNALED(status))
        tell("child %ld was killed by signal %d", (long)pid, WTERMSIG(status));
    else
        tell("child %ld ended with status %d", (long)pid, WEXITSTATUS(status));
}

/* Ends the child and this process after a failure. */
_Noreturn static void give_up(int grace_ms, const char *why)
{
    pid_t pid = (pid_t)child_pid;
    tell("%s (child %ld)", why, (long)pid);
    tell_how_it_ended(pid, end_child(grace_ms));
    exit(EXIT_CHILD);
}

_Noreturn static void stop(void)
{
    pid_t pid = (pid_t)child_pid;
    int status = end_child(STOP_GRACE_MS);
    if (status == 0)
        exit(EXIT_SUCCESS);
    tell_how_it_ended(pid, status);
    exit(EXIT_CHILD);
}

/* Waits for the answer to a ping, so that no slice measures the child's start. */
static void wait_until_up(void)
{
    uint8_t ping[HEADER_BYTES] = {MESSAGE_PING, 0, 0, 0, LENGTH_BYTES};
    const struct iovec whole = {.iov_base = ping, .iov_len = sizeof ping};
    static uint8_t page[PAGE_BYTES];
    if (link_send(&child_link, &whole, 1) != (ssize_t)sizeof ping)
        give_up(DEAD_GRACE_MS, "the child takes no input");
    for (size_t done = 0; done < sizeof page;) {
        ssize_t now = link_wait(&child_link, false);
        if (now > 0)
            now = link_receive(&child_link, page + done, sizeof page - done);
        if (now < 0)
            give_up(DEAD_GRACE_MS, "the child closed its output before it answered a ping");
        done += (size_t)now;
    }
}

/* ---- commands and answers ---- */

/* Waits for a line; returns false at the end of input. Gives up if the child ends meanwhile. */
static bool read_command(char *line, size_t size)
{
    static char held[256];
    static size_t held_size = 0;
    for (;;) {
        char *end = memchr(held, '\n', held_size);
        if (end != NULL) {
            size_t length = (size_t)(end - held);
            if (length >= size)
                length = size - 1;
            memcpy(line, held, length);
            line[length] = '\0';
            held_size -= (size_t)(end - held) + 1;
            memmove(held, end + 1, held_size);
            return true;
        }
        if (held_size == sizeof held) {
            tell("a command is longer than %zu bytes", sizeof held);
            end_child(0);
            exit(EXIT_USAGE);
        }
        struct pollfd both[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = child_link.from_child, .events = POLLIN},
        };
        if (poll(both, 2, -1) < 0)
            continue; /* EINTR */
        if (both[0].revents == 0) {
            if (link_check_quiet(&child_link) != 0)
                give_up(DEAD_GRACE_MS, child_link.error);
            continue;
        }
        ssize_t now = read(STDIN_FILENO, held + held_size, sizeof held - held_size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            return false;
        held_size += (size_t)now;
    }
}

static void answer(const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t now = write(STDOUT_FILENO, at, size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            give_up(0, "nobody reads the answers any more");
        at += now;
        size -= (size_t)now;
    }
}

static void answer_slice(const struct slice *slice, bool ends)
{
    static int64_t *payload = NULL;
    static size_t *next = NULL; /* for each client the position of its next latency */
    size_t values = 3 * slice->window + (ends ? 2 : 1) * slice->samples.count;
    int64_t *larger = realloc(payload, values * sizeof *payload);
    if (next == NULL)
        next = calloc(slice->window, sizeof *next);
    if (larger == NULL || next == NULL)
        give_up(0, "out of memory for the answer");
    payload = larger;

    size_t at = 3 * slice->window;
    for (size_t i = 0; i < slice->window; i++) {
        const struct client *client = &slice->clients[i];
        payload[3 * i] = client->start_ns;
        payload[3 * i + 1] = client->end_ns;
        payload[3 * i + 2] = client->redos;
        next[i] = at;
        at += (size_t)client->redos;
    }
    for (size_t k = 0; k < slice->samples.count; k++) {
        size_t place = next[slice->samples.client[k]]++;
        payload[place] = slice->samples.latency_ns[k];
        if (ends)
            payload[slice->samples.count + place] = slice->samples.end_ns[k];
    }

    char line[128];
    int size = snprintf(line, sizeof line, "slice %zu %zu %zu %zu\n", values * sizeof *payload,
                        child_link.read_calls, child_link.write_calls, child_link.poll_calls);
    answer(line, (size_t)size);
    answer(payload, values * sizeof *payload);
}

/* ---- options ---- */

/* Parses a plain decimal number from `least` to `most`; returns -1 otherwise. */
static long long number(const char *text, long long least, long long most)
{
    size_t size = strlen(text);
    if (size == 0 || size > 18 || strspn(text, "0123456789") != size)
        return -1;
    long long value = strtoll(text, NULL, 10);
    return value < least || value > most ? -1 : value;
}

_Noreturn static void bad_usage(const char *what, const char *argument)
{
    tell("%s: %.100s", what, argument);
    fputs(usage_text, stderr);
    exit(EXIT_USAGE);
}

struct options {
    const char *requests, *pages;
    long long window, pipe_bytes, spin_us;
    bool ends, shared_memory;
    char **child_argv;
};

static bool is_shared_memory(const char *transport)
{
    if (strcmp(transport, "shm") == 0)
        return true;
    if (strcmp(transport, "pipe") != 0)
        bad_usage("unknown transport, not one of pipe, shm", transport);
    return false;
}

static struct options parse_options(char **argv)
{
    struct options options = {0};
    int at = 1;
    for (; argv[at] != NULL && strcmp(argv[at], "--") != 0; at += 2) {
        const char *name = argv[at], *value = argv[at + 1];
        if (strcmp(name, "--help") == 0) {
            fputs(usage_text, stdout);
            exit(EXIT_SUCCESS);
        }
        if (value == NULL)
            bad_usage("unknown option, or one without its value", name);
        if (strcmp(name, "--requests") == 0)
            options.requests = value;
        else if (strcmp(name, "--pages") == 0)
            options.pages = value;
        else if (strcmp(name, "--window") == 0)
            options.window = number(value, 1, MOST_CLIENTS);
        else if (strcmp(name, "--pipe-bytes") == 0)
            options.pipe_bytes = number(value, 1, INT_MAX);
        else if (strcmp(name, "--transport") == 0)
            options.shared_memory = is_shared_memory(value);
        else if (strcmp(name, "--spin-us") == 0)
            options.spin_us = number(value, 0, MOST_SPIN_NS / 1000);
        else if (strcmp(name, "--ends") == 0 && strcmp(value, "yes") == 0)
            options.ends = true;
        else
            bad_usage("unknown option", name);
        if (options.window < 0 || options.pipe_bytes < 0 || options.spin_us < 0)
            bad_usage("no number, or out of range", value);
    }
    if (options.requests == NULL || options.pages == NULL || options.window == 0)
        bad_usage("missing", "--requests, --pages and --window must be given");
    if (options.spin_us > 0 && !options.shared_memory)
        bad_usage("missing", "--spin-us needs --transport shm");
    if (argv[at] == NULL || argv[at + 1] == NULL)
        bad_usage("missing", "-- CHILD");
    options.child_argv = argv + at + 1;
    return options;
}

/* Launches the child; with shared memory two more arguments name its descriptor. */
static void start(char **child_argv, size_t count, const struct options *options)
{
    int failure, memory_fd = -1;
    char fd_text[16];
    char **with_memory = NULL;
    if (options->shared_memory) {
        memory_fd = link_share(&child_link, (uint64_t)options->spin_us * 1000);
        with_memory = calloc(count + 3, sizeof *with_memory);
        if (memory_fd < 0 || with_memory == NULL) {
            tell("%s", memory_fd < 0 ? child_link.error : "out of memory");
            exit(EXIT_CHILD);
        }
        memcpy(with_memory, child_argv, count * sizeof *with_memory);
        snprintf(fd_text, sizeof fd_text, "%d", memory_fd);
        with_memory[count] = "--shared-memory";
        with_memory[count + 1] = fd_text;
        child_argv = with_memory;
    }
    failure = launch(child_argv, (int)options->pipe_bytes);
    if (failure != 0) {
        tell("cannot launch %s: %s", child_argv[0], strerror(failure));
        exit(EXIT_CHILD);
    }
    if (memory_fd >= 0)
        close(memory_fd);
    free(with_memory);
}

int main(int argc, char **argv)
{
    if (argc < 1)
        return EXIT_USAGE; /* without a program name argv[1] would be out of bounds */
    struct options options = parse_options(argv);
    static struct traffic traffic;
    static struct slice slice;
    char error[512], line[64];

    close_inherited_descriptors();
    if (!traffic_load(&traffic, options.requests, options.pages, error, sizeof error)) {
        tell("%s", error);
        return EXIT_USAGE;
    }
    catch_ending_signals();
    start(options.child_argv, (size_t)(argv + argc - options.child_argv), &options);
    wait_until_up();
    if (!slice_prepare(&slice, &traffic, (size_t)options.window, &child_link))
        give_up(0, "out of memory");
    answer(line, (size_t)snprintf(line, sizeof line, "ready %ld\n", (long)child_pid));

    while (read_command(line, sizeof line) && strcmp(line, "stop") != 0) {
        long long duration_ns = -1;
        if (strncmp(line, "slice ", 6) == 0)
            duration_ns = number(line + 6, 0, LLONG_MAX);
        if (duration_ns < 0) {
            tell("unknown command: %s", line);
            end_child(0);
            return EXIT_USAGE;
        }
        if (!slice_run(&slice, duration_ns))
            give_up(child_link.child_gone ? DEAD_GRACE_MS : 0, slice.error);
        answer_slice(&slice, options.ends);
    }
    stop();
}
