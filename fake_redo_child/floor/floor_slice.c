/*
 * Implements floor_slice.h.
 *
 * One turn of the loop: receive the available bytes, split them into pages, queue the next request
 * of each client whose page arrived, and pass all queued requests on at once. The clock is read
 * twice per turn: after receiving, for all its pages, and before sending, for all its requests. So
 * a latency runs from just before the call that first passes the request on (the write, or the copy
 * into shared memory) until just after the call that completes the page. It includes the time for
 * which a request waits for room.
 */
#define _GNU_SOURCE

#include "floor_slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The most that a pipe can hold without privilege, and room for an incomplete page. */
#define INPUT_BYTES (1024u * 1024u + PAGE_BYTES)

#define FIRST_SAMPLES (1024u * 1024u)

/* Each client starts at another request, so that neighbours do not send the same ones. */
#define CLIENT_STRIDE 17u

static int64_t now_ns(const struct slice *s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - s->origin_ns;
}

static bool samples_grow(struct samples *samples)
{
    size_t old = samples->capacity;
    size_t capacity = old > 0 ? 2 * old : FIRST_SAMPLES;
    int64_t *latency_ns = realloc(samples->latency_ns, capacity * sizeof *latency_ns);
    if (latency_ns == NULL)
        return false;
    samples->latency_ns = latency_ns;
    int64_t *end_ns = realloc(samples->end_ns, capacity * sizeof *end_ns);
    if (end_ns == NULL)
        return false;
    samples->end_ns = end_ns;
    uint32_t *client = realloc(samples->client, capacity * sizeof *client);
    if (client == NULL)
        return false;
    samples->client = client;
    samples->capacity = capacity;
    /* Touched now, so that the timed part has no page faults. */
    memset(latency_ns + old, 0, (capacity - old) * sizeof *latency_ns);
    memset(end_ns + old, 0, (capacity - old) * sizeof *end_ns);
    memset(client + old, 0, (capacity - old) * sizeof *client);
    return true;
}

static bool sample(struct slice *s, uint32_t client, int64_t latency_ns, int64_t end_ns)
{
    struct samples *samples = &s->samples;
    if (samples->count == samples->capacity && !samples_grow(samples)) {
        snprintf(s->error, sizeof s->error, "out of memory after %zu samples", samples->count);
        return false;
    }
    samples->latency_ns[samples->count] = latency_ns;
    samples->end_ns[samples->count] = end_ns;
    samples->client[samples->count] = client;
    samples->count++;
    return true;
}

bool slice_prepare(struct slice *s, const struct traffic *traffic, size_t window, struct link *link)
{
    *s = (struct slice){
        .traffic = traffic,
        .link = link,
        .window = window,
        .clients = calloc(window, sizeof *s->clients),
        .due = calloc(window, sizeof *s->due),
        .unsent = calloc(2 * window, sizeof *s->unsent),
        /* 16 bytes behind the start of a page, where malloc puts large blocks, a read takes three
           times as long on some processors: each store seems to overlap with a later load. */
        .input = aligned_alloc(PAGE_BYTES, INPUT_BYTES),
    };
    if (s->clients == NULL || s->due == NULL || s->unsent == NULL || s->input == NULL)
        return false;
    memset(s->input, 0, INPUT_BYTES);
    return samples_grow(&s->samples);
}

/* Queues the client's request. `stamp` sets its time once the whole batch is queued. */
static void offer(struct slice *s, uint32_t client)
{
    const struct request *request = &s->traffic->requests[s->clients[client].request];
    s->due[(s->due_first + s->due_count++) % s->window] = client;
    s->due_new++;
    if (s->unsent_first + s->unsent_count == 2 * s->window) {
        memmove(s->unsent, s->unsent + s->unsent_first, s->unsent_count * sizeof *s->unsent);
        s->unsent_first = 0;
    }
    s->unsent[s->unsent_first + s->unsent_count++] =
        (struct iovec){.iov_base = request->bytes, .iov_len = request->size};
}

static void stamp(struct slice *s)
{
    if (s->due_new == 0)
        return;
    int64_t now = now_ns(s);
    for (; s->due_new > 0; s->due_new--) {
        size_t place = s->due_first + s->due_count - s->due_new;
        struct client *client = &s->clients[s->due[place % s->window]];
        client->offered_ns = now;
        if (client->redos == 0)
            client->start_ns = now;
    }
}

/* Removes the bytes that the link took. */
static void sent(struct slice *s, size_t size)
{
    while (size > 0) {
        struct iovec *first = &s->unsent[s->unsent_first];
        if (size < first->iov_len) {
            first->iov_base = (uint8_t *)first->iov_base + size;
            first->iov_len -= size;
            return;
        }
        size -= first->iov_len;
        s->unsent_first++;
        s->unsent_count--;
    }
    if (s->unsent_count == 0)
        s->unsent_first = 0;
}

static bool link_failed(struct slice *s)
{
    snprintf(s->error, sizeof s->error, "%s", s->link->error);
    return false;
}

/* Sends until nothing is left or there is no room. */
static bool send_unsent(struct slice *s)
{
    while (s->unsent_count > 0) {
        ssize_t size = link_send(s->link, s->unsent + s->unsent_first, s->unsent_count);
        if (size < 0)
            return link_failed(s);
        if (size == 0)
            return true;
        sent(s, (size_t)size);
    }
    return true;
}

/* Checks and counts a page that arrived at time `now`, and queues its client's next request. */
static bool take_page(struct slice *s, const uint8_t *page, int64_t now)
{
    if (s->due_count == 0) {
        snprintf(s->error, sizeof s->error, "the child sent a page that nobody asked for");
        return false;
    }
    uint32_t index = s->due[s->due_first];
    s->due_first = (s->due_first + 1) % s->window;
    s->due_count--;

    struct client *client = &s->clients[index];
    if (memcmp(page, s->traffic->pages + client->request * PAGE_BYTES, PAGE_BYTES) != 0) {
        snprintf(s->error, sizeof s->error, "the child sent a wrong page for request %zu",
                 client->request);
        return false;
    }
    if (!sample(s, index, now - client->offered_ns, now))
        return false;
    client->redos++;
    if (now >= s->duration_ns) {
        client->end_ns = now;
        return true;
    }
    client->request = (client->request + 1) % s->traffic->count;
    offer(s, index);
    return true;
}

static bool receive_pages(struct slice *s)
{
    ssize_t size = link_receive(s->link, s->input + s->input_size, INPUT_BYTES - s->input_size);
    int64_t now = now_ns(s);
    if (size < 0)
        return link_failed(s);
    s->input_size += (size_t)size;
    const uint8_t *page = s->input;
    for (; s->input_size >= PAGE_BYTES; page += PAGE_BYTES, s->input_size -= PAGE_BYTES)
        if (!take_page(s, page, now))
            return false;
    if (s->input_size > 0 && page != s->input)
        memmove(s->input, page, s->input_size);
    return true;
}

bool slice_run(struct slice *s, int64_t duration_ns)
{
    s->samples.count = 0;
    s->link->read_calls = s->link->write_calls = s->link->poll_calls = 0;
    s->duration_ns = duration_ns;
    for (uint32_t i = 0; i < s->window; i++) {
        s->clients[i] = (struct client){.request = (size_t)i * CLIENT_STRIDE % s->traffic->count};
        offer(s, i);
    }
    s->origin_ns = 0;
    s->origin_ns = now_ns(s);
    for (;;) {
        stamp(s);
        if (!send_unsent(s))
            return false;
        if (s->due_count == 0)
            break;
        int pages = link_wait(s->link, s->unsent_count > 0);
        if (pages < 0)
            return link_failed(s);
        if (pages > 0 && !receive_pages(s))
            return false;
    }
    if (s->input_size > 0) {
        snprintf(s->error, sizeof s->error, "the child sent %zu bytes that nobody asked for",
                 s->input_size);
        return false;
    }
    return true;
}
