/*
 * Closes every inherited descriptor above standard error.
 */
#ifndef REDO_CLOSE_DESCRIPTORS_H
#define REDO_CLOSE_DESCRIPTORS_H

#include <dirent.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For kernels before 5.9, and for sandboxes that do not allow close_range. */
static inline void close_descriptors_one_by_one(void)
{
    DIR *listing = opendir("/proc/self/fd");
    if (listing == NULL) {
        long limit = sysconf(_SC_OPEN_MAX);
        /* The limit may be a thousand million, but descriptors in use have low numbers. */
        if (limit < 0 || limit > 65536)
            limit = 65536;
        for (int fd = 3; fd < (int)limit; fd++)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(listing))
            close(fd);
    }
    closedir(listing);
}

static inline void close_inherited_descriptors(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
        return;
#endif
    close_descriptors_one_by_one();
}

#endif
