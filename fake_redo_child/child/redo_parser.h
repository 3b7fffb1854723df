/*
 * Bytes in, pages out: the messages of PROTOCOL.md and the page they add up to.
 *
 * A parser does no I/O, knows no clock and allocates nothing. It takes its input in pieces of any
 * size and works records into the page as they come, so that its memory does not depend on theirs.
 * What is to be done with a page is its owner's business: the child writes it, a test or a fuzzer
 * may count it.
 */
#ifndef REDO_PARSER_H
#define REDO_PARSER_H

#include "../common/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_HEAD_BYTES 16u /* LSN and chain; the body follows */
#define PAGE_BODY_BYTES (PAGE_BYTES - PAGE_HEAD_BYTES)

/* What a page is the answer to, so that the owner can charge for it. */
enum redo_answer {
    ANSWER_PING,
    ANSWER_REDO,
    ANSWER_MISMATCH, /* G for another block than B: a zero page */
};

struct redo_parser;

struct redo_owner {
    /* A page is due; it is valid during the call. False ends the parser without an error text. */
    bool (*answer)(void *context, const struct redo_parser *parser, enum redo_answer what,
                   const uint8_t page[PAGE_BYTES]);
    /* One line, without its end, that is worth telling and stops nothing. */
    void (*warn)(void *context, const char *text);
    void *context;
};

/* Where in a message the next byte of input belongs. */
enum redo_part {
    PART_HEADER, /* type and length */
    PART_FIXED,  /* the part of the payload whose size depends on the type alone */
    PART_BODY,   /* bytes of a base image or of a record, on their way into the page's body */
};

struct redo_parser {
    struct redo_owner owner;

    enum redo_part part;
    uint8_t type;
    uint32_t body_left;  /* bytes of PART_BODY still to come */
    uint32_t fixed_size; /* bytes of PART_FIXED of this type */
    uint32_t gathered;   /* bytes in `scratch` of a part that arrived in pieces */
    uint8_t scratch[TAG_BYTES + PAGE_HEAD_BYTES];

    bool begun;
    bool has_image;
    uint8_t tag[TAG_BYTES];
    uint64_t records; /* of this redo */
    uint64_t chain;
    size_t body_at; /* where in the body the next byte goes */

    char error[128]; /* one line, once redo_feed or redo_end has returned false */
    _Alignas(64) uint8_t page[PAGE_BYTES];
};

void redo_start(struct redo_parser *parser, struct redo_owner owner);

/* False: the input is not the protocol (`error` says why), or the owner gave up (`error` is empty).
 * The parser must not be fed again then. */
bool redo_feed(struct redo_parser *parser, const uint8_t *bytes, size_t size);

/* The input is at its end. False, with `error` set, if that is inside a message. */
bool redo_end(struct redo_parser *parser);

#endif
