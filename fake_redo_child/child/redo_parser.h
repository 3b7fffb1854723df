/*
 * The parser: takes the messages of PROTOCOL.md and computes pages.
 *
 * A parser does no I/O, reads no clock and allocates nothing. It takes input in pieces of any size
 * and applies record bytes to the page as they arrive, so that its memory does not depend on the
 * size of records. It passes each page to its owner: the child writes it, a fuzzer checks it.
 */
#ifndef REDO_PARSER_H
#define REDO_PARSER_H

#include "../common/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_HEAD_BYTES 16u /* LSN and chain; the body follows */
#define PAGE_BODY_BYTES (PAGE_BYTES - PAGE_HEAD_BYTES)

/* What a page answers, so that the owner can add its CPU cost. */
enum redo_answer {
    ANSWER_PING,
    ANSWER_REDO,
    ANSWER_MISMATCH, /* G for another block than B: a zero page */
};

struct redo_parser;

struct redo_owner {
    /* Takes a page, which is valid during the call. Returning false stops the parser without an
     * error text. */
    bool (*answer)(void *context, const struct redo_parser *parser, enum redo_answer what,
                   const uint8_t page[PAGE_BYTES]);
    /* Takes a warning: one line, without a line end. */
    void (*warn)(void *context, const char *text);
    void *context;
};

/* The part of a message to which the next byte of input belongs. */
enum redo_part {
    PART_HEADER, /* type and length */
    PART_FIXED,  /* the part of the payload whose size depends only on the type */
    PART_BODY,   /* bytes of a base image or a record, which go into the page's body */
};

struct redo_parser {
    struct redo_owner owner;

    enum redo_part part;
    uint8_t type;
    uint32_t body_left;  /* bytes of PART_BODY still to come */
    uint32_t fixed_size; /* bytes of PART_FIXED of this type */
    uint32_t gathered;   /* bytes in `scratch` of an incomplete part */
    uint8_t scratch[TAG_BYTES + PAGE_HEAD_BYTES];

    bool begun;
    bool has_image;
    uint8_t tag[TAG_BYTES];
    uint64_t records; /* of this redo */
    uint64_t chain;
    size_t body_at; /* the position in the body of the next byte */

    char error[128]; /* one line, after redo_feed or redo_end has returned false */
    _Alignas(64) uint8_t page[PAGE_BYTES];
};

void redo_start(struct redo_parser *parser, struct redo_owner owner);

/* Takes input. Returns false if it violates the protocol (`error` says how) or if the owner stopped
 * the parser (`error` is empty). The parser must not be fed again then. */
bool redo_feed(struct redo_parser *parser, const uint8_t *bytes, size_t size);

/* Ends the input. Returns false and sets `error` if it ends inside a message. */
bool redo_end(struct redo_parser *parser);

#endif
