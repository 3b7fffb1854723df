/*
 * Numbers in options. Only plain decimals are valid, whereas strtod and strtoul also accept
 * hexadecimal, infinity, signs and blanks.
 */
#ifndef REDO_DECIMAL_H
#define REDO_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Parses the first `size` bytes of a string. They must be the whole number: a digit or point must
 * not follow them. */
static inline bool plain_decimal(const char *text, size_t size, double *value)
{
    size_t whole = strspn(text, "0123456789");
    size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    size_t used = whole + (text[whole] == '.' ? 1 : 0) + fraction;
    if (used != size || whole + fraction == 0)
        return false;
    *value = strtod(text, NULL);
    return true;
}

static inline bool whole_number(const char *text, size_t size, uint64_t *value)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return size > 0;
}

#endif
