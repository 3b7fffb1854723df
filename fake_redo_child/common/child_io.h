/*
 * Telling, writing and leaving, with the system calls that seccomp strict mode allows, and the way
 * into that mode. No knowledge of messages belongs here.
 */
#ifndef REDO_CHILD_IO_H
#define REDO_CHILD_IO_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

enum { EXIT_FATAL = 1, EXIT_USAGE = 2, EXIT_SANDBOX = 3, EXIT_FAULT = 4 };

/* From here on the process may read, write and leave, or be killed. */
void enter_sandbox(void);

_Noreturn void leave(int status);

/* `KIND: TEXT` as a line on standard error; not heard if nobody listens. */
void tell(const char *kind, const char *text);

_Noreturn void die(int status, const char *text);
_Noreturn void die_of_errno(int status, const char *text, int number);

/* The two below are in the header because every page goes through them: in a file of their own they
 * made a short redo 4 % (0.02 us) dearer for the child. */

/* All of it, in as few calls as the pipe allows. False: it failed, with errno, or 0 in errno if
 * write took nothing. */
static inline bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t now = write(fd, bytes + done, size - done);
        if (now > 0) {
            done += (size_t)now;
        } else if (now == 0 || errno != EINTR) {
            if (now == 0)
                errno = 0;
            return false;
        }
    }
    return true;
}

/* To standard output; dies if that is gone. */
static inline void write_page_bytes(const uint8_t *bytes, size_t size)
{
    if (!write_all(STDOUT_FILENO, bytes, size))
        die_of_errno(EXIT_FATAL, "cannot write a page: output is gone", errno);
}

#endif
