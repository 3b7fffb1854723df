/*
 * Implements redo_parser.h after the rules of PROTOCOL.md.
 */
#include "redo_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHAIN_START UINT64_C(0x9E3779B97F4A7C15)
#define CHAIN_FACTOR UINT64_C(0xD6E8FEB86659FD93)

static const uint8_t zero_page[PAGE_BYTES];

/* ---- the page ---- */

static uint64_t big_endian_u64(const uint8_t *bytes)
{
    return (uint64_t)big_endian_u32(bytes) << 32 | big_endian_u32(bytes + 4);
}

static uint64_t little_endian_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static void store_little_endian(uint8_t *bytes, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t chain_step(uint64_t chain, uint64_t value, uint64_t addend)
{
    uint64_t x = (chain ^ value) * CHAIN_FACTOR + addend;
    return x ^ (x >> 32);
}

static uint64_t chain_start(const uint8_t *tag, bool has_image, uint64_t image0, uint64_t image8)
{
    uint64_t chain = chain_step(CHAIN_START, tag[0], 0);
    for (unsigned at = 1; at < TAG_BYTES; at += 4)
        chain = chain_step(chain, big_endian_u32(tag + at), 0);
    chain = chain_step(chain, has_image, 0);
    chain = chain_step(chain, image0, 0);
    return chain_step(chain, image8, 0);
}

/* A vector of 16 bytes, which gcc and clang support on every machine. At -O2 they do not vectorize
 * a loop over plain words, which would cost several times as much as a memcpy. */
typedef uint64_t lane __attribute__((vector_size(16)));

/* to ^= from. Uses memcpy because neither side is aligned. */
static void xor_bytes(uint8_t *restrict to, const uint8_t *restrict from, size_t size)
{
    lane a[4], b[4];
    uint64_t word_a, word_b;
    for (; size >= sizeof a; size -= sizeof a, to += sizeof a, from += sizeof a) {
        memcpy(a, to, sizeof a);
        memcpy(b, from, sizeof b);
        a[0] ^= b[0];
        a[1] ^= b[1];
        a[2] ^= b[2];
        a[3] ^= b[3];
        memcpy(to, a, sizeof a);
    }
    for (; size >= sizeof word_a;
         size -= sizeof word_a, to += sizeof word_a, from += sizeof word_a) {
        memcpy(&word_a, to, sizeof word_a);
        memcpy(&word_b, from, sizeof word_b);
        word_a ^= word_b;
        memcpy(to, &word_a, sizeof word_a);
    }
    for (; size > 0; size--)
        *to++ ^= *from++;
}

/* XORs bytes into the body, which wraps around. The body of a base image wraps exactly once and so
 * needs no other treatment than a record. */
static void body_take(struct redo_parser *p, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t room = PAGE_BODY_BYTES - p->body_at;
        size_t now = size < room ? size : room;
        xor_bytes(p->page + PAGE_HEAD_BYTES + p->body_at, bytes, now);
        p->body_at = now == room ? 0 : p->body_at + now;
        bytes += now;
        size -= now;
    }
}

/* ---- the messages ---- */

__attribute__((format(printf, 2, 3))) static bool fail(struct redo_parser *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->error, sizeof p->error, format, arguments);
    va_end(arguments);
    return false;
}

static void next_message(struct redo_parser *p)
{
    p->part = PART_HEADER;
}

static bool wrong_length(struct redo_parser *p, uint32_t length, const char *must)
{
    return fail(p, "message '%c' has length %u: it must be %s", p->type, (unsigned)length, must);
}

static bool take_header(struct redo_parser *p, const uint8_t *header)
{
    uint32_t length = big_endian_u32(header + 1);
    p->type = header[0];
    p->part = PART_FIXED;
    p->body_left = 0;
    switch (p->type) {
    case MESSAGE_BEGIN:
    case MESSAGE_GET:
        if (length != LENGTH_BYTES + TAG_BYTES)
            return wrong_length(p, length, "21");
        p->fixed_size = TAG_BYTES;
        return true;
    case MESSAGE_PUSH:
        if (length != LENGTH_BYTES + TAG_BYTES + PAGE_BYTES)
            return wrong_length(p, length, "8213");
        p->fixed_size = TAG_BYTES + PAGE_HEAD_BYTES;
        p->body_left = PAGE_BODY_BYTES;
        return true;
    case MESSAGE_APPLY:
        if (length < LENGTH_BYTES + LSN_BYTES)
            return wrong_length(p, length, "at least 12");
        p->fixed_size = LSN_BYTES;
        p->body_left = length - LENGTH_BYTES - LSN_BYTES;
        if (p->body_left > MAX_RECORD_BYTES)
            return fail(p, "record of %u bytes is over the maximum of %u", (unsigned)p->body_left,
                        MAX_RECORD_BYTES);
        return true;
    case MESSAGE_PING:
        if (length != LENGTH_BYTES)
            return wrong_length(p, length, "4");
        next_message(p);
        return p->owner.answer(p->owner.context, p, ANSWER_PING, zero_page);
    default:
        return fail(p, "unknown message type 0x%02x", p->type);
    }
}

static bool take_begin(struct redo_parser *p, const uint8_t *tag)
{
    p->begun = true;
    p->has_image = false;
    memcpy(p->tag, tag, TAG_BYTES);
    p->records = 0;
    p->chain = chain_start(tag, false, 0, 0);
    p->body_at = 0;
    memset(p->page, 0, sizeof p->page);
    next_message(p);
    return true;
}

static bool take_push(struct redo_parser *p, const uint8_t *tag_and_head)
{
    const uint8_t *head = tag_and_head + TAG_BYTES;
    if (!p->begun)
        return fail(p, "message 'P' outside a redo: 'B' must come first");
    if (memcmp(p->tag, tag_and_head, TAG_BYTES) != 0)
        return fail(p, "message 'P' is for another block than 'B'");
    if (p->has_image || p->records > 0)
        return fail(p, "message 'P' after a record or another 'P'");
    p->has_image = true;
    p->chain = chain_start(p->tag, true, little_endian_u64(head), little_endian_u64(head + 8));
    memcpy(p->page, head, LSN_BYTES);
    p->part = PART_BODY;
    return true;
}

static bool take_apply(struct redo_parser *p, const uint8_t *end_lsn)
{
    if (!p->begun)
        return fail(p, "message 'A' outside a redo: 'B' must come first");
    uint64_t lsn = big_endian_u64(end_lsn);
    p->records++;
    p->chain = chain_step(p->chain, lsn, p->body_left);
    store_little_endian(p->page, lsn >> 32, 4);
    store_little_endian(p->page + 4, lsn, 4);
    if (p->body_left > 0)
        p->part = PART_BODY;
    else
        next_message(p);
    return true;
}

static bool take_get(struct redo_parser *p, const uint8_t *tag)
{
    bool same_block = p->begun && memcmp(p->tag, tag, TAG_BYTES) == 0;
    p->begun = false;
    next_message(p);
    if (!same_block) {
        p->owner.warn(p->owner.context,
                      "message 'G' is for another block than 'B': answered with a zero page");
        return p->owner.answer(p->owner.context, p, ANSWER_MISMATCH, zero_page);
    }
    store_little_endian(p->page + LSN_BYTES, p->chain, 8);
    return p->owner.answer(p->owner.context, p, ANSWER_REDO, p->page);
}

static bool take_fixed(struct redo_parser *p, const uint8_t *fixed)
{
    switch (p->type) {
    case MESSAGE_BEGIN:
        return take_begin(p, fixed);
    case MESSAGE_PUSH:
        return take_push(p, fixed);
    case MESSAGE_APPLY:
        return take_apply(p, fixed);
    default: /* MESSAGE_GET: take_header admits no other type */
        return take_get(p, fixed);
    }
}

/* ---- the interface ---- */

void redo_start(struct redo_parser *parser, struct redo_owner owner)
{
    memset(parser, 0, sizeof *parser);
    parser->owner = owner;
    next_message(parser);
}

bool redo_feed(struct redo_parser *p, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        if (p->part == PART_BODY) {
            size_t now = size < p->body_left ? size : p->body_left;
            body_take(p, bytes, now);
            bytes += now;
            size -= now;
            p->body_left -= (uint32_t)now;
            if (p->body_left == 0)
                next_message(p);
            continue;
        }

        /* A part that is complete in the input is used in place. Only a part that the end of the
         * input cuts is copied to `scratch` first. */
        uint32_t wanted = p->part == PART_HEADER ? HEADER_BYTES : p->fixed_size;
        const uint8_t *whole = bytes;
        if (p->gathered > 0 || size < wanted) {
            size_t missing = wanted - p->gathered;
            size_t now = size < missing ? size : missing;
            memcpy(p->scratch + p->gathered, bytes, now);
            p->gathered += (uint32_t)now;
            bytes += now;
            size -= now;
            if (p->gathered < wanted)
                return true;
            p->gathered = 0;
            whole = p->scratch;
        } else {
            bytes += wanted;
            size -= wanted;
        }
        bool good = p->part == PART_HEADER ? take_header(p, whole) : take_fixed(p, whole);
        if (!good)
            return false;
    }
    return true;
}

bool redo_end(struct redo_parser *p)
{
    if (p->part == PART_HEADER && p->gathered == 0)
        return true;
    return fail(p, "end of input inside a message");
}
