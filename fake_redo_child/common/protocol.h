/*
 * The constants of PROTOCOL.md that the redo child and the floor share.
 */
#ifndef REDO_PROTOCOL_H
#define REDO_PROTOCOL_H

#include <stdint.h>

#define PAGE_BYTES 8192u
#define TAG_BYTES 17u
#define LSN_BYTES 8u
#define MAX_RECORD_BYTES (16u * 1024u * 1024u)

/* A header is a type byte and a u32 length, which counts itself and the payload. */
#define LENGTH_BYTES 4u
#define HEADER_BYTES (1u + LENGTH_BYTES)

enum message_type {
    MESSAGE_BEGIN = 'B',
    MESSAGE_PUSH = 'P',
    MESSAGE_APPLY = 'A',
    MESSAGE_GET = 'G',
    MESSAGE_PING = 'H',
};

static inline uint32_t big_endian_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

#endif
