/*
 * Fuzzes the parser: feeds arbitrary input, split arbitrarily, and checks what must always hold.
 *
 * The first two bytes of an input (SPLIT_BYTES) choose how the rest is split into pieces. The rest
 * is fed three times: in these pieces, as a whole, and in pieces to an owner that stops at some
 * page. Each piece is in a buffer of exactly its size, so that a sanitizer detects any read beyond
 * it.
 *
 *     make fuzz SECONDS=60          with libFuzzer
 *     fuzz_replay.c                 the same function over given files, with any compiler
 */
#include "../child/redo_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SPLIT_BYTES 2u

/* The result of a run over one input. Two runs over the same bytes must give the same result. */
struct trace {
    uint64_t answers;
    uint64_t warnings;
    uint64_t digest;     /* of all answers: their kinds and every byte of their pages */
    uint64_t give_up_at; /* the answer at which the owner stops the parser; 0 for never */
    bool ended;          /* no answer and no warning may follow */
    bool good;
    char error[sizeof((struct redo_parser *)0)->error];
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_redo_parser: violated: %s\n", what);
    abort();
}

static uint64_t mix(uint64_t digest, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ bytes[i]) * UINT64_C(0x100000001B3); /* FNV-1a */
    return digest;
}

static bool take_answer(void *context, const struct redo_parser *parser, enum redo_answer what,
                        const uint8_t page[PAGE_BYTES])
{
    static const uint8_t zero_page[PAGE_BYTES];
    struct trace *trace = context;
    must(!trace->ended, "no answer after the parser has failed or its owner has given up");
    must(parser->error[0] == '\0', "no answer once there is an error");
    must(what == ANSWER_REDO || memcmp(page, zero_page, PAGE_BYTES) == 0,
         "what is not a redo is answered with a zero page");
    const uint8_t kind = (uint8_t)what;
    trace->answers++;
    trace->digest = mix(mix(trace->digest, &kind, 1), page, PAGE_BYTES);
    if (trace->answers == trace->give_up_at)
        trace->ended = true;
    return !trace->ended;
}

static void take_warning(void *context, const char *text)
{
    struct trace *trace = context;
    must(!trace->ended, "no warning after the end");
    must(text[0] != '\0' && strchr(text, '\n') == NULL, "a warning is one line");
    trace->warnings++;
}

/* The size of the next piece. There are few spans, so that small changes of the input keep them. */
static size_t next_piece(uint32_t *state, uint8_t choice)
{
    static const uint32_t spans[] = {1, 4, 32, 512, 8192, 65536};
    *state = *state * 1664525u + 1013904223u;
    return 1 + (*state >> 8) % spans[choice % (sizeof spans / sizeof *spans)];
}

static bool feed_copy(struct redo_parser *parser, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);
    must(copy != NULL, "there is memory");
    memcpy(copy, bytes, size);
    bool good = redo_feed(parser, copy, size);
    free(copy);
    return good;
}

static void check_end(const struct redo_parser *parser, const struct trace *trace)
{
    must(memchr(parser->error, '\0', sizeof parser->error) != NULL, "the error has an end");
    must(strchr(parser->error, '\n') == NULL, "the error is one line");
    if (trace->good)
        must(parser->error[0] == '\0', "no error without a failure");
    else if (trace->give_up_at != 0 && trace->answers == trace->give_up_at)
        must(parser->error[0] == '\0', "no error if the owner gave up");
    else
        must(parser->error[0] != '\0', "a failure has an error");
}

/* Feeds the input once. `split` is NULL for one piece. */
static struct trace run(const uint8_t *bytes, size_t size, const uint8_t *split, uint64_t give_up_at)
{
    static struct redo_parser parser;
    struct trace trace = {.give_up_at = give_up_at, .good = true};
    uint32_t state = split == NULL ? 0 : split[1];
    redo_start(&parser, (struct redo_owner){take_answer, take_warning, &trace});
    for (size_t done = 0; trace.good && done < size;) {
        size_t left = size - done;
        size_t piece = split == NULL ? left : next_piece(&state, split[0]);
        if (piece > left)
            piece = left;
        trace.good = feed_copy(&parser, bytes + done, piece);
        done += piece;
    }
    must(!(trace.good && trace.ended), "who gives up is heard");
    if (trace.good)
        trace.good = redo_end(&parser);
    check_end(&parser, &trace);
    memcpy(trace.error, parser.error, sizeof trace.error);
    return trace;
}

static void must_be_same(const struct trace *a, const struct trace *b)
{
    must(a->good == b->good, "a split changes no outcome");
    must(strcmp(a->error, b->error) == 0, "a split changes no error");
    must(a->answers == b->answers, "a split changes no number of answers");
    must(a->warnings == b->warnings, "a split changes no number of warnings");
    must(a->digest == b->digest, "a split changes no page");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SPLIT_BYTES)
        return 0;
    const uint8_t *bytes = data + SPLIT_BYTES;
    size -= SPLIT_BYTES;
    struct trace in_pieces = run(bytes, size, data, 0);
    struct trace whole = run(bytes, size, NULL, 0);
    must_be_same(&in_pieces, &whole);
    if (whole.answers > 0) {
        uint64_t at = 1 + data[1] % whole.answers;
        struct trace cut = run(bytes, size, data, at);
        must(!cut.good && cut.answers == at, "an owner that gives up gets no further answer");
    }
    return 0;
}
