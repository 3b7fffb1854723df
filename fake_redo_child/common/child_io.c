/*
 * Implements child_io.h.
 */
#define _GNU_SOURCE

#include "child_io.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* `leave` must know, because strict mode forbids the usual way to exit. */
static bool in_sandbox = false;

void enter_sandbox(void)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0)
        die_of_errno(EXIT_SANDBOX,
                     "cannot enter seccomp strict mode (is a container's seccomp filter on?); "
                     "--no-sandbox does without",
                     errno);
    in_sandbox = true;
}

_Noreturn void leave(int status)
{
    /* Outside the sandbox exit() runs the exit handlers that sanitizers and coverage need. */
    if (!in_sandbox)
        exit(status);
    /* Not _exit(): it calls exit_group, for which strict mode kills the process. */
    for (;;)
        syscall(SYS_exit, status);
}

void tell(const char *kind, const char *text)
{
    char line[256];
    int size = snprintf(line, sizeof line, "%s: %s\n", kind, text);
    if (size >= (int)sizeof line)
        size = (int)sizeof line - 1;
    (void)write_all(STDERR_FILENO, (const uint8_t *)line, (size_t)size);
}

_Noreturn void die(int status, const char *text)
{
    tell("FATAL", text);
    leave(status);
}

/* Does not use strerror, which may open translation files. */
_Noreturn void die_of_errno(int status, const char *text, int number)
{
    char with_number[160];
    snprintf(with_number, sizeof with_number, "%s (errno %d)", text, number);
    die(status, with_number);
}
