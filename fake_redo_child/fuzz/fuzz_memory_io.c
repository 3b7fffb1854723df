/*
 * Fuzzes the child's side of shared memory: memory_io.c with the parser behind it.
 *
 * The first HEAD_BYTES bytes of an input choose the sizes of ring and slots, how the manager puts
 * the rest into the ring, and one change of the header. The rest is fed twice: to the parser alone,
 * as a whole, and through the memory, with a manager that takes pages only when it must. Both must
 * give the same pages and the same end. A header that was changed must be refused, or fit the
 * memory.
 *
 * Standard input must be at its end, as libFuzzer has it: it is the doorbell.
 */
#define _GNU_SOURCE

#include "../child/redo_parser.h"
#include "../common/memory_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_BYTES 6u
#define FIELDS 6u /* of the header, each a u64 */

/* The manager, and what came out of the parser. Two runs over the same bytes must agree. */
struct run {
    struct memory_io *io; /* NULL: the parser alone */
    uint64_t taken;
    uint64_t pages, warnings;
    uint64_t digest;
    bool good;
    char error[sizeof((struct redo_parser *)0)->error];
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_memory_io: violated: %s\n", what);
    abort();
}

static void take_page(struct run *run, const uint8_t *page)
{
    run->pages++;
    for (size_t i = 0; i < PAGE_BYTES; i++)
        run->digest = (run->digest ^ page[i]) * UINT64_C(0x100000001B3); /* FNV-1a */
}

/* Takes all pages that are ready, as a manager does. */
static void take_ready(struct run *run)
{
    const struct memory_io *io = run->io;
    uint64_t ready = shared_look(&io->memory->ready);
    must(ready - run->taken <= io->slot_count, "there are not more pages than slots");
    for (; run->taken < ready; run->taken++)
        take_page(run, io->slots + run->taken % io->slot_count * PAGE_BYTES);
    shared_store(&io->memory->taken, run->taken);
}

static bool take_answer(void *context, const struct redo_parser *parser, enum redo_answer what,
                        const uint8_t page[PAGE_BYTES])
{
    struct run *run = context;
    (void)parser;
    (void)what;
    if (run->io == NULL) {
        take_page(run, page);
        return true;
    }
    if (run->io->ready - run->taken == run->io->slot_count)
        take_ready(run);
    memory_put(run->io, page, PAGE_BYTES);
    return true;
}

static void take_warning(void *context, const char *text)
{
    struct run *run = context;
    (void)text;
    run->warnings++;
}

static size_t next_piece(uint32_t *state, uint8_t choice)
{
    static const uint32_t spans[] = {1, 4, 32, 512, 8192, 65536};
    *state = *state * 1664525u + 1013904223u;
    return 1 + (*state >> 8) % spans[choice % (sizeof spans / sizeof *spans)];
}

/* Puts a piece into the ring, as far as there is room; returns how much. */
static size_t put_piece(struct memory_io *io, uint64_t written, const uint8_t *bytes, size_t size)
{
    uint64_t consumed = shared_look(&io->memory->consumed);
    must(consumed <= written, "not more is consumed than is written");
    uint64_t room = io->ring_bytes - (written - consumed);
    if (size > room)
        size = (size_t)room;
    for (size_t i = 0; i < size; i++)
        io->memory->ring[(written + i) % io->ring_bytes] = bytes[i];
    shared_store(&io->memory->written, written + size);
    return size;
}

static void end(struct run *run, struct redo_parser *parser)
{
    if (run->good)
        run->good = redo_end(parser);
    memcpy(run->error, parser->error, sizeof run->error);
}

static void run_alone(struct run *run, const uint8_t *bytes, size_t size)
{
    static struct redo_parser parser;
    redo_start(&parser, (struct redo_owner){take_answer, take_warning, run});
    run->good = redo_feed(&parser, bytes, size);
    end(run, &parser);
}

/* The loop of the child, with the manager's part between its steps. */
static void run_in_memory(struct run *run, const uint8_t *bytes, size_t size, const uint8_t *split)
{
    static struct redo_parser parser;
    struct memory_io *io = run->io;
    uint32_t state = split[1];
    uint64_t written = 0;
    const uint8_t *in_place;
    redo_start(&parser, (struct redo_owner){take_answer, take_warning, run});
    run->good = true;
    for (;;) {
        size_t left = size - (size_t)written;
        size_t piece = next_piece(&state, split[0]);
        written += put_piece(io, written, bytes + written, piece < left ? piece : left);
        size_t now = memory_input(io, &in_place);
        if (now == 0)
            break;
        must(in_place >= io->memory->ring && now <= PIECE_BYTES &&
                 in_place + now <= io->memory->ring + io->ring_bytes,
             "input lies in the ring");
        run->good = redo_feed(&parser, in_place, now);
        if (!run->good)
            break;
        memory_consume(io, now);
    }
    must(!run->good || io->consumed == size, "input ends once all is consumed");
    end(run, &parser);
    take_ready(run);
}

static void must_be_same(const struct run *a, const struct run *b)
{
    must(a->good == b->good, "the memory changes no outcome");
    must(strcmp(a->error, b->error) == 0, "the memory changes no error");
    must(a->pages == b->pages, "the memory changes no number of pages");
    must(a->warnings == b->warnings, "the memory changes no number of warnings");
    must(a->digest == b->digest, "the memory changes no page");
}

/* The number of the field of the header that the input changes; from FIELDS on it changes none. */
static uint64_t changed_field(const uint8_t *head)
{
    return head[4] % (2 * FIELDS);
}

/* A memory with the sizes that the input chooses. Returns its descriptor. */
static int make_memory(const uint8_t *head, uint64_t *size)
{
    struct shared_memory header = {
        .ring_bytes = UINT64_C(1) << head[2] % 18,
        .slots = UINT64_C(1) << head[3] % 4,
        .page_bytes = PAGE_BYTES,
    };
    memcpy(header.magic, SHARED_MAGIC, sizeof header.magic);
    *size = SHARED_HEAD_BYTES + header.ring_bytes + header.slots * PAGE_BYTES;
    uint64_t field = changed_field(head);
    if (field < FIELDS)
        ((uint8_t *)&header)[8 * field + head[5] % 8] ^= (uint8_t)(1 + head[5] / 8);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && ftruncate(fd, (off_t)*size) == 0, "there is memory");
    must(write(fd, &header, 8 * FIELDS) == 8 * FIELDS, "the header is written");
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES)
        return 0;
    char error[MEMORY_ERROR_BYTES] = "";
    struct memory_io io;
    uint64_t memory_bytes;
    int fd = make_memory(data, &memory_bytes);
    bool fits = memory_open(&io, fd, error);
    close(fd);
    must(fits == (error[0] == '\0') && strchr(error, '\n') == NULL, "a refusal is one line");
    must(fits || changed_field(data) < FIELDS, "a good header is accepted");
    if (!fits)
        return 0;
    must(SHARED_HEAD_BYTES + io.ring_bytes + io.slot_count * PAGE_BYTES == memory_bytes,
         "ring and slots lie in the memory");
    io.always_ring = false; /* nobody hears it */
    struct run alone = {0}, in_memory = {.io = &io};
    run_alone(&alone, data + HEAD_BYTES, size - HEAD_BYTES);
    run_in_memory(&in_memory, data + HEAD_BYTES, size - HEAD_BYTES, data);
    must_be_same(&alone, &in_memory);
    munmap(io.memory, memory_bytes);
    return 0;
}
